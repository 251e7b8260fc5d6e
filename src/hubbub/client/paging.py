"""What ``fetch_more`` remembers: where each listing continues. No input or output of its own."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hubbub.client.results import Page, Row, StartKey
from hubbub.client.wire import Command, invalid_reply

MAX_QUERIES = 100
"""Most queries that are remembered; the one that was used longest ago is dropped."""
MAX_START_KEYS = 1000
"""Most start keys that are remembered of one query; the oldest are dropped."""
MAX_START_KEY_LENGTH = 1024 * 1024
"""Most characters that the start keys of one query have, as JSON; the oldest are dropped."""


class Query:
    """One query: the start keys of its pages so far, the newest last. Pages are fetched one at a time."""

    def __init__(self) -> None:
        self._start_keys: deque[StartKey] = deque()
        self._lengths: deque[int] = deque()
        self._length = 0
        self._lock = asyncio.Lock()

    @property
    def start_keys(self) -> tuple[StartKey, ...]:
        """The start keys that are remembered."""
        return tuple(self._start_keys)

    async def next_page(self, command: Command, ask: Callable[[Command], Awaitable[Page[Row]]]) -> Page[Row]:
        """Return the next page, which `ask` fetches. After the last page, return an empty one without asking.

        Raises:
            CommandError: Whatever `ask` raises; ``INTERNAL``: the start key is too long to be one of ours.
        """
        async with self._lock:
            last = self._start_keys[-1] if self._start_keys else None
            if last == "end":
                return Page([], "end", end_of_list=True, start_key_history=self.start_keys)
            page = await ask(command if last is None else {**command, "startKey": last})
            self._remember(page.start_key)
            return msgspec.structs.replace(page, start_key_history=self.start_keys)

    def _remember(self, start_key: StartKey) -> None:
        length = len(json.dumps(start_key))
        if length > MAX_START_KEY_LENGTH:
            text = f'"startKey" has {length} characters; at most {MAX_START_KEY_LENGTH} are allowed'
            raise invalid_reply(ValueError(text))
        self._start_keys.append(start_key)
        self._lengths.append(length)
        self._length += length
        while len(self._start_keys) > MAX_START_KEYS or self._length > MAX_START_KEY_LENGTH:
            self._start_keys.popleft()
            self._length -= self._lengths.popleft()


class QueryCache:
    """The queries used last."""

    def __init__(self) -> None:
        self._queries: OrderedDict[str, Query] = OrderedDict()

    def open(self, command: Command, scope: str | None, *, continued: bool) -> Query:
        """Return the record of a query, a new one unless it is `continued`.

        Args:
            command: The query; the same command is the same query.
            scope: The group that a query for users means when it names none.
            continued: Whether the next page is to follow the last one.
        """
        key = _key(command, scope)
        query = (self._queries.pop(key, None) if continued else None) or Query()
        self._queries[key] = query
        self._queries.move_to_end(key)
        if len(self._queries) > MAX_QUERIES:
            self._queries.popitem(last=False)
        return query

    def clear(self) -> None:
        """Forget all queries."""
        self._queries.clear()


def _key(command: dict[str, Any], scope: str | None) -> str:
    # As text, because True, 1 and 1.0 are equal in Python but not to the server.
    return json.dumps([command, scope])
