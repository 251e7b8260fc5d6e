"""Live queries: a listing that follows the server's. No input or output of its own."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from operator import attrgetter
from types import TracebackType
from typing import Annotated, Any, Generic

import msgspec

from hubbub.client.results import Row
from hubbub.client.wire import Command, LiveEvent, invalid_reply
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import UserRow

MAX_ROWS = 10_000
"""Most rows of a live query; servers send 1,000 at most."""

NEW, ASKING, WATCHING, LOST, ENDED = "new", "asking", "watching", "lost", "ended"


class WatchReply(msgspec.Struct, Generic[Row]):
    """The reply to ``watch``."""

    watch: int
    list: Annotated[builtins.list[Row], msgspec.Meta(max_length=MAX_ROWS)]
    count: int | None


class Change(msgspec.Struct, Generic[Row], frozen=True):
    """How a live query has changed since the change before.

    Attributes:
        list: The whole page, in the order of the query.
        count: How many rows match in all; None where a token's rights filter the listing.
        set: New and changed rows.
        gone: Names of groups, or connection ids, that are not on the page any more.
    """

    list: builtins.list[Row]
    count: int | None
    set: builtins.list[Row]
    gone: builtins.list[str]


class LiveQuery(Generic[Row]):
    """A live query, for ``async with``, which begins and ends it, and ``async for``, which yields each `Change`.

    The first change is the first page. A program that is slow gets all that it has missed as one change. After a
    reconnect the query goes on by itself. If the server ends it, ``async for`` raises the `hubbub.CommandError`; when
    the client is closed, ``async for`` ends.

    Attributes:
        list: The page, in the order of the query; another list after each change.
        count: How many rows match in all; None where a token's rights filter the listing.
        error: Why the server has ended it; None while it goes on.
    """

    def __init__(
        self,
        command: Command,
        kind: type[Row],
        begin: Callable[[LiveQuery[Any]], Awaitable[None]],
        end: Callable[[LiveQuery[Any]], Awaitable[None]],
    ) -> None:
        """Watch what `command` says, whose rows are of `kind`; `begin` and `end` tell the server."""
        self.list: builtins.list[Row] = []
        self.count: int | None = None
        self.error: Exception | None = None
        self.command = command
        self.reply_kind = WatchReply[kind]  # type: ignore[valid-type]
        self.watch: int | None = None  # its number on the present connection
        self.state = NEW
        self._begin, self._end = begin, end
        self._decode = msgspec.json.Decoder(builtins.list[kind]).decode  # type: ignore[valid-type]
        self._key = _order(command)
        self._reverse = not command.get("ascending", True) and "groups" not in command
        self._id = attrgetter("connection_id" if kind is UserRow else "group")
        self._rows: dict[str, Row] = {}
        self._read: dict[str, Row] | None = None  # what the program has been given last
        self._read_count: int | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> LiveQuery[Row]:
        """Begin to watch, and wait for the first page. Raises `CommandError`, as `hubbub.Client` says."""
        if self.state != NEW:
            raise CommandError(ErrorCode.INVALID_REQUEST, "A live query can be used once: watch again for another one.")
        await self._begin(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Watch nothing any more; ``async for`` ends."""
        if self.state != ENDED:
            self.state = ENDED
            self._changed.set()
            await self._end(self)

    async def __aiter__(self) -> AsyncIterator[Change[Row]]:
        """Yield the first page, then each change."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if change := self._unread():
                yield change
            if self.state == ENDED:
                self._changed.set()
                if self.error is not None:
                    raise self.error
                return

    # --- what the connection calls ---

    def on_reply(self, reply: WatchReply[Row]) -> None:
        """Process the reply to ``watch``."""
        self.watch = reply.watch
        self.replace(reply.list, reply.count)

    def on_event(self, event: LiveEvent) -> None:
        """Process an event. Raises `ValueError` if a field is wrong, `CommandError` if there are too many rows."""
        if bytes(event.list):
            self.replace(self._decode(event.list), event.count)
        else:
            self.change(self._decode(event.set), event.gone, event.count)

    def replace(self, rows: Iterable[Row], count: int | None) -> None:
        """Take over a whole page. Raises `CommandError` if it has too many rows."""
        self._rows = {self._id(row): row for row in rows}
        self.state = WATCHING
        self._show(count)

    def change(self, rows: Iterable[Row], gone: Iterable[str], count: int | None) -> None:
        """Take over new and changed rows, and remove others. Raises `CommandError` if there are too many rows."""
        for name in gone:
            self._rows.pop(name, None)
        self._rows.update((self._id(row), row) for row in rows)
        self._show(count)

    def fail(self, error: Exception | None) -> None:
        """Note that the server has ended the query with this error; or, with None, that the client was closed."""
        if self.state != ENDED:
            self.state, self.error = ENDED, error
            self._changed.set()

    # --- inside ---

    def _show(self, count: int | None) -> None:
        if len(self._rows) > MAX_ROWS:
            raise invalid_reply(ValueError(f"a live query with more than {MAX_ROWS} rows"))
        self.list = sorted(self._rows.values(), key=self._key, reverse=self._reverse)
        self.count = count
        self._changed.set()

    def _unread(self) -> Change[Row] | None:
        """Return what has changed since the program read last; None if nothing has."""
        first, before = self._read is None, self._read or {}
        changed = [row for row in self.list if before.get(self._id(row)) != row]
        gone = [name for name in before if name not in self._rows]
        if not (first or changed or gone or self.count != self._read_count) or self.state == NEW:
            return None
        self._read, self._read_count = dict(self._rows), self.count
        return Change(self.list, self.count, changed, gone)


def _order(command: Command) -> Callable[[Any], Any]:
    """Return what rows are sorted by. Python compares texts by code point, as the server does."""
    if command["what"] == "users":
        return attrgetter("user_id", "connection_id")
    if command.get("searchFor") == "number_of_users":
        return attrgetter("number_of_users", "group")
    return attrgetter("group")


def watch_command(what: str, every: float | None, **fields: Any) -> Command:
    """Return the command ``watch``; `every` is seconds. Fields that are None are left out."""
    milliseconds = None if every is None else round(every * 1000, 3)
    given = {**fields, "every": milliseconds}
    command = {"do": "watch", "what": what, **{name: value for name, value in given.items() if value is not None}}
    if command.get("startKey") == "start":
        del command["startKey"]
    return command


class LiveQueries:
    """The live queries of one client that have not ended."""

    def __init__(self) -> None:
        self._queries: dict[LiveQuery[Any], None] = {}

    def add(self, query: LiveQuery[Any]) -> None:
        """Add one."""
        self._queries[query] = None

    def remove(self, query: LiveQuery[Any]) -> None:
        """Remove one, if it is there."""
        self._queries.pop(query, None)

    def lost(self) -> None:
        """Note that the connection is lost, and with it what the server knows of the queries."""
        for query in self._queries:
            query.watch = None
            if query.state == WATCHING:
                query.state = LOST

    def to_begin_again(self) -> Iterable[LiveQuery[Any]]:
        """Return those that a lost connection has interrupted."""
        return [query for query in self._queries if query.state == LOST]

    def of(self, event: LiveEvent) -> LiveQuery[Any] | None:
        """Return the query that an event is about; None if it has ended."""
        return next((query for query in self._queries if query.watch == event.watch), None)

    def fail(self, error: CommandError | None) -> None:
        """End all."""
        queries, self._queries = self._queries, {}
        for query in queries:
            query.fail(error)
