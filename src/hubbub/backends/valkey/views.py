"""Reads views over all shards, and lets the store say when they change: see `changes`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import thread_time

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.connection import Argument
from hubbub.backends.valkey.listings import merge_pages, order_of
from hubbub.backends.valkey.ranges import count_ranges, group_ranges, group_rows, user_range, user_rows, user_span
from hubbub.backends.valkey.shards import Shards
from hubbub.groups.directory import MOST_HIDDEN, listing_page
from hubbub.groups.roster import roster_page
from hubbub.groups.view_query import GroupUsers, ListedGroups, NamedGroups, ViewPage, ViewQuery
from hubbub.messages import GroupRow


class StoredViews:
    """Reads views.

    Args:
        shards: The shards; their connections to the store tell ``shards.changes`` what has changed.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def read(self, query: ViewQuery, visible: Callable[[str], bool] | None) -> ViewPage:
        """Return the page of a view. See `hubbub.backends.base.Backend.view`."""
        if isinstance(query, GroupUsers):
            page = await self._users(query)
        elif isinstance(query, NamedGroups):
            page = await self._named(query)
        else:
            page = await self._listed(query, visible)
        if not all(shard.link.tracks for shard in self._shards):
            self._shards.changes.blind = True
        return page

    async def _listed(self, listed: ListedGroups, visible: Callable[[str], bool] | None) -> ViewPage:
        for shard in self._shards:
            shard.link.require_ready()
        query, bounds = listed.query, group_ranges(listed.query)
        counted = count_ranges(listed.matching) if visible is None else []
        most = query.limit + 1 + (0 if visible is None else MOST_HIDDEN)
        count = 0

        async def ask(number: int) -> list[list[GroupRow]]:
            nonlocal count
            arguments: tuple[Argument, ...] = (
                order_of(query),
                number,
                int(not query.ascending),
                len(bounds),
                *bounds,
                *counted,
            )
            run = (shard.link.run_tracked("view_groups", *arguments) for shard in self._shards)
            replies = await asyncio.gather(*run)
            count = sum(each for each, _ in replies)
            return [group_rows(rows) for _, rows in replies]

        rows = await merge_pages(query, most, len(self._shards), ask)
        page = listing_page(query, iter(rows), visible, thread_time)
        return ViewPage(page.list, None if visible is not None else count, page.start_key, page.end_of_list)

    async def _named(self, query: NamedGroups) -> ViewPage:
        found = dict.fromkeys(query.names, GroupRow("", 0, 0))

        async def ask(number: int, names: list[str]) -> None:
            link = self._shards[number].link
            link.require_ready()
            numbers = await link.run_tracked("view_named", *map(schema.encode, names))
            found.update(
                (name, GroupRow(name, users, connections))
                for name, users, connections in zip(names, numbers[::2], numbers[1::2], strict=True)
            )

        by_shard: dict[int, list[str]] = {}
        for name in query.names:
            by_shard.setdefault(self._shards.of(name).number, []).append(name)
        await asyncio.gather(*(ask(number, names) for number, names in by_shard.items()))
        return ViewPage(list(found.values()), len(found))

    async def _users(self, view: GroupUsers) -> ViewPage:
        shard, query = self._shards.of(view.group), view.query
        shard.link.require_ready()
        count, found = await shard.link.run_tracked(
            "view_users", schema.encode(view.group), query.limit + 1, int(not query.ascending), *user_range(query),
            *user_span(query.user_id),
        )  # fmt: skip
        rows = [] if query.finished else user_rows(found)
        page = roster_page(rows[: query.limit], more=len(rows) > query.limit)
        return ViewPage(page.list, count, page.start_key, page.end_of_list)
