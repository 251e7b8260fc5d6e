"""Where a listing stopped: what ``fetch_more`` remembers. No input or output of its own."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hubbub.client.results import Page, Row, StartKey
from hubbub.client.wire import Command

MAX_QUERIES = 100
"""Most queries whose place is remembered; the one that was used longest ago is forgotten."""


class Query:
    """One query's place: the start keys that came so far. Its pages come one after the other."""

    def __init__(self) -> None:
        self.history: list[StartKey] = []
        self.lock = asyncio.Lock()

    async def next_page(self, command: Command, ask: Callable[[Command], Awaitable[Page[Row]]]) -> Page[Row]:
        """Return the next page, which `ask` gets from the server. After the last page there is nothing to ask."""
        async with self.lock:
            last = self.history[-1] if self.history else None
            if last == "end":
                return Page([], "end", end_of_list=True, start_key_history=tuple(self.history))
            page = await ask(command if last is None else {**command, "startKey": last})
            self.history.append(page.start_key)
            return msgspec.structs.replace(page, start_key_history=tuple(self.history))


class Pages:
    """The queries used last."""

    def __init__(self) -> None:
        self._queries: OrderedDict[str, Query] = OrderedDict()

    def open(self, command: Command, scope: str | None, *, goes_on: bool) -> Query:
        """Return the record of a query, a new one unless it `goes_on`.

        Args:
            command: What is asked; the same command is the same query.
            scope: The group that a query for users means when it names none.
            goes_on: Whether to continue behind the last page.
        """
        key = _key(command, scope)
        query = (self._queries.pop(key, None) if goes_on else None) or Query()
        self._queries[key] = query
        self._queries.move_to_end(key)
        if len(self._queries) > MAX_QUERIES:
            self._queries.popitem(last=False)
        return query

    def clear(self) -> None:
        """Forget everything."""
        self._queries.clear()


def _key(command: dict[str, Any], scope: str | None) -> str:
    # As text, since to Python True, 1 and 1.0 are the same, and to the server they are not.
    return json.dumps([command, scope])
