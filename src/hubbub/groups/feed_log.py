"""The feed of a single process: the last events, bounded in number, bytes and seconds. Pure: clocks are passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hubbub.groups.feed import EventType, FeedEvent, FeedRead, FeedWindow, Positions, Why
from hubbub.messages import Position, UserRow

OVERHEAD = 240
"""Bytes that an event counts beyond its names."""

CHARACTER = 4
"""Most bytes of a character of a name."""


class _Entry(NamedTuple):
    type: EventType
    why: Why
    group: str | None
    user: UserRow | None
    users: int | None
    at: float

    @property
    def size(self) -> int:
        """How many bytes it counts."""
        group, user = self.group or "", self.user
        names = len(group) if user is None else len(group) + len(user.user_id) + len(user.connection_id)
        return OVERHEAD + CHARACTER * names


class FeedLog:
    """The events. While nobody has read them within the window, none are written.

    Args:
        window: How much is kept.
        now: A monotonic clock, in seconds.
        clock: Unix time, in seconds.
        new_epoch: Returns an epoch that was never used.

    Attributes:
        on: Whether events are written now. Whoever calls the methods that write asks this first.
    """

    def __init__(
        self, window: FeedWindow, now: Callable[[], float], clock: Callable[[], float], new_epoch: Callable[[], str]
    ) -> None:
        self.on = False
        self._window = window
        self._now = now
        self._clock = clock
        self._new_epoch = new_epoch
        self._entries: list[_Entry] = []
        self._bytes = 0
        self._last = Position("", 0)
        self._read_at = 0.0

    def __len__(self) -> int:
        """Return how many events are kept."""
        return len(self._entries)

    # --- written by the step that changes the membership ---

    def online(self, user: UserRow, why: Why) -> None:
        """Note that a user is online."""
        self._add("user_online", why, None, user, None)

    def offline(self, user: UserRow, why: Why) -> None:
        """Note that a user is not online any more."""
        self._add("user_offline", why, None, user, None)

    def joined(self, group: str, user: UserRow, why: Why, users: int, *, opened: bool) -> None:
        """Note that a user is present in a group, which now has `users` users; `opened`: nobody was before."""
        if opened:
            self._add("group_opened", why, group, None, users)
        self._add("member_joined", why, group, user, users)

    def left(self, group: str, user: UserRow, why: Why, users: int, *, emptied: bool) -> None:
        """Note that a user is not present in a group any more; `emptied`: nobody is."""
        self._add("member_left", why, group, user, users)
        if emptied:
            self._add("group_emptied", why, group, None, users)

    def _add(self, type_: EventType, why: Why, group: str | None, user: UserRow | None, users: int | None) -> None:
        entry = _Entry(type_, why, group, user, users, round(self._clock(), 3))
        self._entries.append(entry)
        self._bytes += entry.size
        self._last = Position(self._last.epoch, self._last.seq + 1)
        most, count = self._window.events, len(self._entries)
        if count > most + most // 16:  # in chunks: to drop one event moves all others
            self._drop(count - most)
        while self._bytes > self._window.bytes + self._window.bytes // 16 and len(self._entries) > 1:
            self._drop(-(-len(self._entries) // 16))

    def _drop(self, count: int) -> None:
        self._bytes -= sum(entry.size for entry in self._entries[:count])
        del self._entries[:count]

    # --- read ---

    def read(self, since: Positions | None, most: int) -> FeedRead:
        """Return at most `most` events after `since`, which tells from where the reader goes on.

        Without `since` there are none, and the reader goes on from now. The first reading begins the feed.
        """
        if not self.on:
            self.on = True
            self._last = Position(self._new_epoch(), 0)
        self._read_at = self._now()
        last = self._last
        if since is None:
            return FeedRead([], (last,), gap=False)
        missed = last.seq - since[0].seq
        if len(since) != 1 or since[0].epoch != last.epoch or not 0 <= missed <= len(self._entries):
            return FeedRead([], (last,), gap=True)
        first = len(self._entries) - missed
        found = self._entries[first : first + most]
        events = [(0, self._event(entry, seq)) for seq, entry in enumerate(found, since[0].seq + 1)]
        return FeedRead(events, (Position(last.epoch, since[0].seq + len(found)),), gap=False)

    def _event(self, entry: _Entry, seq: int) -> FeedEvent:
        user = entry.user
        return FeedEvent(
            entry.type,
            entry.group,
            None if user is None else user.user_id,
            None if user is None else user.connection_id,
            seq,
            self._last.epoch,
            entry.at,
            entry.why,
            entry.users,
        )

    def sweep(self) -> None:
        """Drop what is too old; stop writing if nobody has read within the window. Called about once a second."""
        if not self.on:
            return
        if self._now() - self._read_at > self._window.age:
            self.on = False
            self._drop(len(self._entries))
            return
        old, count = self._clock() - self._window.age, 0
        while count < len(self._entries) and self._entries[count].at < old:
            count += 1
        self._drop(count)
