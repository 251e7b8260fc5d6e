"""Follows the feed for one reader: from a cursor on, with a snapshot where events are missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from hubbub.backends.feed_source import FeedSource
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups.feed import START, FeedEvent, FeedRead, Positions, Wanted, cursor_of, parse_cursor, part_of, sealed

PIECE = 500
"""Most events that are read from a shard at a time."""

ALIVE = 15.0
"""Seconds without an event after which a reader gets its position, which may have passed over many unwanted events."""

RETRY = 0.5
"""Seconds between two attempts while the store does not answer."""


class Follower:
    """Reads the feed for one reader. Nothing is kept for it: what it has not taken yet is in the feed only.

    Args:
        source: The feed of the backend.
        since: The cursor from which the reader goes on; `START` for a snapshot first, None for what comes from now on.
        wanted: Which events the reader gets.
        ended: Returns whether the reader must get nothing more. Asked between two pieces.
        now: A monotonic clock, in seconds.

    Raises:
        CommandError: ``INVALID_PARAMETER``, `since` is no cursor.
    """

    def __init__(
        self,
        source: FeedSource,
        since: str | None,
        wanted: Wanted,
        ended: Callable[[], bool],
        now: Callable[[], float],
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._ended = ended
        self._now = now
        self._starts = since == START
        self._at = None if since is None or self._starts else parse_cursor(since)

    async def events(self) -> AsyncGenerator[list[FeedEvent], None]:
        """Yield events in pieces; the first comes at once, and none is empty.

        Raises:
            CommandError: ``UNAVAILABLE``: the store did not answer the first reading, or a node shares it that writes
                no events. Later, the feed waits until that is over.
        """
        read = await self._source.read(self._at, PIECE)
        behind = read.gap or self._starts  # what is there is not known, so a snapshot is needed
        if read.gap:
            yield [FeedEvent("gap")]
        elif not behind:
            yield [_position(self._at or read.positions)]
        said = self._now()
        while not self._ended():
            pieces = self._snapshot(read.positions) if behind else self._wanted_of(read)
            behind = False
            try:
                async for piece in pieces:
                    yield piece
                    said = self._now()
            except CommandError:  # in the middle of a snapshot: another one will begin
                behind = True
                await asyncio.sleep(RETRY)
            if not read.events:
                await asyncio.sleep(self._source.pause)
            if self._now() - said >= ALIVE and not behind:
                yield [_position(read.positions)]
                said = self._now()
            read = await self._read_on(read)
            if read.gap:
                yield [FeedEvent("gap")]
                behind = True

    async def _read_on(self, last: FeedRead) -> FeedRead:
        """Read what follows; while the store does not answer, return that it is nothing."""
        try:
            return await self._source.read(self._at, PIECE)
        except CommandError:
            await asyncio.sleep(RETRY)
            return FeedRead([], last.positions, gap=False)

    async def _wanted_of(self, read: FeedRead) -> AsyncIterator[list[FeedEvent]]:
        """Yield the events of a reading that are wanted, each with the cursor behind it."""
        piece = list[FeedEvent]()
        if read.events:
            parts = [part_of(position) for position in self._at or ()]
            for shard, event in read.events:
                parts[shard] = f"{event.epoch}.{event.seq}"
                if not event.snapshot and self._wanted(event):
                    event.cursor = sealed(parts)
                    piece.append(event)
        if piece:
            yield piece
        self._at = read.positions

    async def _snapshot(self, positions: Positions) -> AsyncIterator[list[FeedEvent]]:
        """Yield what is there, then the events since `positions`, where it begins, up to when all was looked at.

        Raises:
            CommandError: It cannot be completed: the store does not answer, or events are missing already.
        """
        yield [FeedEvent("snapshot_begin")]
        async for found in self._source.snapshot():
            if piece := [event for event in found if self._wanted(event)]:
                yield piece
            if self._ended():
                return
        target = (await self._source.read(None, PIECE)).positions
        while not _reached(positions, target):
            read = await self._source.read(positions, PIECE)
            if read.gap:
                raise CommandError(ErrorCode.UNAVAILABLE, "The snapshot took longer than the feed is kept.")
            if piece := [event for _, event in read.events if self._wanted(event)]:
                yield piece
            positions = read.positions
        yield [FeedEvent("snapshot_end", cursor=cursor_of(positions))]
        self._at = positions


def _reached(positions: Positions, target: Positions) -> bool:
    return all(one.epoch == other.epoch and one.seq >= other.seq for one, other in zip(positions, target, strict=True))


def _position(positions: Positions) -> FeedEvent:
    return FeedEvent("position", cursor=cursor_of(positions))
