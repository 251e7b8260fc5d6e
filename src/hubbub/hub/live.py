"""Live queries of a program that runs a hub: ``async with hub.watch_groups(…) as lobby``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hubbub.auth.identity import Identity
from hubbub.client.live import LiveQuery
from hubbub.errors import CommandError, HubError
from hubbub.messages import GroupRow, UserRow, Watch
from hubbub.node import Node
from hubbub.watching.view import NOT_STARTED, Frames, View


class HubWatcher:
    """The watch of one live query: see `hubbub.watching.view.Watcher`."""

    slow = False  # what a program has not taken yet is one change

    def __init__(self, query: LiveQuery[Any]) -> None:
        self.number = 1
        self.view: View | None = None
        self.seen = NOT_STARTED
        self.behind = False
        self.query = query

    def send(self, frames: Frames) -> bool:
        """Change the query as a client does."""
        event = frames.event
        if event.list is not msgspec.UNSET:
            self.query.replace(event.list, event.count)
        elif event.set is not msgspec.UNSET and event.gone is not msgspec.UNSET:
            self.query.change(event.set, event.gone, event.count)
        return True

    def end(self, error: CommandError) -> None:
        """Do nothing: a program sees every group."""


class HubWatches:
    """The live queries of a hub.

    Args:
        node: Returns the running node, and starts the hub if it has not started yet.
        reader: Who watches.
    """

    def __init__(self, node: Callable[[], Awaitable[Node]], reader: Identity) -> None:
        self._node = node
        self._reader = reader
        self._watchers: dict[LiveQuery[Any], tuple[Node, HubWatcher]] = {}
        self._told: Node | None = None

    def groups(self, command: Watch) -> LiveQuery[GroupRow]:
        """Return a live query of groups."""
        return self._query(command, GroupRow)

    def users(self, command: Watch) -> LiveQuery[UserRow]:
        """Return a live query of the connections in a group."""
        return self._query(command, UserRow)

    def _query(self, command: Watch, kind: Any) -> LiveQuery[Any]:
        async def begin(query: LiveQuery[Any]) -> None:
            node = await self._node()
            if self._told is not node:
                node.before_close.append(self._end_all)
                self._told = node
            watcher = HubWatcher(query)
            page = await node.views.open(node.watch_rules.key(self._reader, command), watcher)
            self._watchers[query] = node, watcher
            query.replace(page.rows, page.count)

        fields = {"what": command.what, "searchFor": command.search_for, "ascending": command.ascending}
        order = {**fields, **({} if command.groups is None else {"groups": command.groups})}
        return LiveQuery(order, kind, begin, self._end)

    async def _end(self, query: LiveQuery[Any]) -> None:
        if query in self._watchers:
            node, watcher = self._watchers.pop(query)
            node.views.leave(watcher)

    def _end_all(self) -> None:
        for query in self._watchers:
            query.fail(HubError("The hub was stopped while this live query was running."))
