"""What a program knows that follows the feed: the users online and the members of each group."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Protocol

from hubbub.backends.base import Backend
from hubbub.feed import Follower
from hubbub.groups.directory import parse_query
from hubbub.groups.feed import START, FeedEvent, Wanted
from hubbub.groups.roster import parse_user_query
from hubbub.messages import GroupRow, Groups, UserRow, Users


class State:
    """The users online, and the members of the groups."""

    def __init__(self) -> None:
        self.online: set[str] = set()
        self.open: set[str] = set()
        self.members: set[tuple[str, str]] = set()

    def apply(self, event: FeedEvent) -> bool:
        """Change what the event says; return whether it did change something."""
        group, user = event.group, event.user_id
        kept: set[str] | set[tuple[str, str]]
        key: object
        if event.type in ("user_online", "user_offline"):
            kept, key = self.online, user
        elif event.type in ("group_opened", "group_emptied"):
            kept, key = self.open, group
        else:
            kept, key = self.members, (group, user)
        there = key in kept
        if event.type in ("user_online", "group_opened", "member_joined"):
            kept.add(key)  # type: ignore[arg-type]
            return not there
        kept.discard(key)
        return there


class Mirror:
    """Follows the feed of a backend, as a program does over HTTP.

    Attributes:
        state: What is there, as far as the mirror knows.
        seen: The events, but for those that are about the feed itself.
        repeated: Events outside of a snapshot that changed nothing: a feed that is read once has none.
        counts: How many events of each type there were.
        cursor: Where another mirror can go on.
    """

    def __init__(self, backend: Backend, since: str | None = START, wanted: Wanted | None = None) -> None:
        self.state = State()
        self.seen: list[FeedEvent] = []
        self.repeated: list[FeedEvent] = []
        self.counts: Counter[str] = Counter()
        self.cursor = since
        self.ended = False
        self._next: State | None = None
        follower = Follower(backend.feed, since, wanted or Wanted(), lambda: self.ended, time.monotonic)
        self.pieces: AsyncIterator[list[FeedEvent]] = follower.events()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Mirror:
        """Begin to follow; return when the first piece is there."""
        for event in await anext(self.pieces):
            self.take(event)
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended = True
        if self._task is not None:
            await self._task

    async def _follow(self) -> None:
        async for piece in self.pieces:
            for event in piece:
                self.take(event)

    def take(self, event: FeedEvent) -> None:
        """Take one event."""
        self.counts[event.type] += 1
        if event.type == "snapshot_begin":
            self._next = State()
        elif event.type == "snapshot_end":
            assert self._next is not None
            self.state, self._next = self._next, None
        elif event.type in ("position", "gap"):
            pass
        elif self._next is not None:
            self._next.apply(event)
        else:
            self.seen.append(event)
            if not self.state.apply(event):
                self.repeated.append(event)
        if event.cursor is not None:
            self.cursor = event.cursor

    @property
    def in_snapshot(self) -> bool:
        """Whether a snapshot has begun and not ended."""
        return self._next is not None


class HasMembers(Protocol):
    """What a mirror is compared with."""

    members: set[tuple[str, str]]


async def listed(backend: Backend) -> set[tuple[str, str]]:
    """Return the groups and users that the listings of a backend show."""
    groups = (await backend.groups(parse_query(Groups(limit=1000), 1000))).list
    found: set[tuple[str, str]] = set()
    for group in groups:
        assert isinstance(group, GroupRow)
        rows = (await backend.users(group.group, parse_user_query(Users(limit=1000), 1000))).list
        found |= {(group.group, row.user_id) for row in rows if isinstance(row, UserRow)}
    return found


async def agrees(mirror: Mirror, backend: Backend, online: set[str] | None = None) -> bool:
    """Return whether the mirror shows what the listings show, and the users `online` if they are given."""
    members = await listed(backend)
    state = mirror.state
    return (
        not mirror.in_snapshot
        and state.members == members
        and state.open == {group for group, _ in members}
        and (online is None or state.online == online)
    )


async def until_it_agrees(mirror: Mirror, backend: Backend, online: set[str] | None = None) -> None:
    """Wait until the mirror is true."""
    async with asyncio.timeout(20):
        while not await agrees(mirror, backend, online):
            await asyncio.sleep(0.02)
