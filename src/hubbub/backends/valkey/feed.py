"""The feed on Valkey: a list in each shard, which the scripts write that change the membership."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from heapq import merge
from typing import Any, NamedTuple

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.feed_entries import MOST, parse_entry, parse_members, present
from hubbub.backends.valkey.shard import Shard
from hubbub.backends.valkey.shards import Shards
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups.absences import ONLINE
from hubbub.groups.feed import FeedEvent, FeedRead, FeedWindow, Positions
from hubbub.messages import Position

PIECE = 1000
"""Most rows that one script returns for a snapshot; it takes the store about a millisecond."""


class _Part(NamedTuple):
    """What was read from one shard."""

    events: list[tuple[int, FeedEvent]]
    position: Position
    gap: bool


class ValkeyFeed:
    """See `hubbub.backends.feed_source.FeedSource` for what each method promises.

    Args:
        shards: The shards of the store.
        window: How long the feed is kept; how much is up to the scripts.
    """

    pause = 0.2

    def __init__(self, shards: Shards, window: FeedWindow) -> None:
        self._shards = shards
        self._age = max(1, round(window.age * 1000))

    async def read(self, since: Positions | None, most: int) -> FeedRead:
        """Ask all shards at the same time, and merge what they return by time."""
        known = since is not None and len(since) == len(self._shards)
        positions: list[Position | None] = list(since) if since is not None and known else [None] * len(self._shards)
        parts = await asyncio.gather(
            *(self._read(shard, position, most) for shard, position in zip(self._shards, positions, strict=True))
        )
        gap = since is not None and (not known or any(part.gap for part in parts))
        if gap and known:  # those without a gap have returned events, which the snapshot will contain
            return await self._from_now(most)
        events = [] if gap else list(merge(*(part.events for part in parts), key=_time))
        return FeedRead(events, tuple(part.position for part in parts), gap)

    async def _from_now(self, most: int) -> FeedRead:
        read = await self.read(None, most)
        return FeedRead([], read.positions, gap=True)

    async def _read(self, shard: Shard, since: Position | None, most: int) -> _Part:
        shard.link.require_ready()
        taken, skipped = (0, 0) if since is None else divmod(since.seq, MOST)
        epoch = b"" if since is None else schema.encode("=" + since.epoch)
        reply = await shard.link.run("feed_read", secrets.token_urlsafe(6), self._age, most, epoch, taken)
        if isinstance(reply, int):
            text = f"The feed waits for an update: a node with version {reply} of the schema writes no feed. Update it."
            raise CommandError(ErrorCode.UNAVAILABLE, text)
        found, last, gap, entries = reply
        epoch_now = found.decode()
        if since is None or gap or (skipped and taken == last):
            return _Part([], Position(epoch_now, MOST * last), gap=since is not None)
        events = [
            (shard.number, event)
            for number, entry in enumerate(entries, taken + 1)
            for event in parse_entry(entry, number, epoch_now)
            if event.seq is not None and event.seq > since.seq
        ]
        return _Part(events, Position(epoch_now, MOST * (taken + len(entries))), gap=False)

    # --- snapshots ---

    async def snapshot(self) -> AsyncIterator[list[FeedEvent]]:
        """Look at one shard after the other: at users, at members, and at last at those who are expected back.

        A user who returns is in the feed, and one who is sent away meanwhile is found at the end.
        """
        for shard in self._shards:
            async for piece in self._users(shard):
                yield piece
            async for piece in self._members(shard):
                yield piece
            async for piece in self._expected(shard):
                yield piece

    async def _users(self, shard: Shard) -> AsyncIterator[list[FeedEvent]]:
        """Look for the keys of users: SCAN finds each that is there from the beginning to the end."""
        start, cursor = schema.encode(f"{shard.prefix}u:"), b"0"
        while True:
            cursor, keys = await shard.link.command(b"SCAN", cursor, b"MATCH", start + b"*", b"COUNT", PIECE)
            yield [_online(schema.decode(key[len(start) :])) for key in keys]
            if cursor == b"0":
                return

    async def _members(self, shard: Shard) -> AsyncIterator[list[FeedEvent]]:
        next_: list[Any] = [b"", b""]
        while next_:
            found, *next_ = await shard.link.run("feed_members", *next_, PIECE)
            yield list(parse_members(found))

    async def _expected(self, shard: Shard) -> AsyncIterator[list[FeedEvent]]:
        key, cursor = shard.prefix + "absences", b"0"
        while True:
            cursor, found = await shard.link.command(b"ZSCAN", key, cursor, b"COUNT", PIECE)
            piece: list[FeedEvent] = []
            for entry in found[::2]:
                length, _, names = entry.partition(b" ")
                group, user = schema.decode(names[: int(length)]), schema.parse_row(names[int(length) :])
                if group == ONLINE:
                    piece.append(_online(user.user_id))
                else:
                    numbers = schema.encode(f"{shard.prefix}g:{group}")
                    connections, users = await shard.link.command(b"HMGET", numbers, b"c", b"u")
                    piece += present(group, int(users) if int(connections or 0) else 0, [user.user_id])
            yield piece
            if cursor == b"0":
                return


def _online(user_id: str) -> FeedEvent:
    return FeedEvent("user_online", user_id=user_id, snapshot=True)


def _time(event: tuple[int, FeedEvent]) -> float:
    return event[1].at or 0.0
