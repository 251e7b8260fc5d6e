"""The last messages of each group and user, bounded by number, bytes and age. Pure.

How age is kept
---------------
Messages have no timestamps, and groups have no timers. A history that has grown is put on a list. `Histories.sweep`,
called about once a second, marks how far each has grown, and drops the messages whose mark is older than the window. A
history is marked at most `GRAINS` times per window, so there are few marks. A message is thus kept for the window at
least, and usually a little longer.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from hubbub.messages import Message, Position, Private

OVERHEAD = 320
"""Bytes that a kept message counts beyond its JSON and its sender, for objects in memory and for its frame."""

CHARACTER = 4
"""Most bytes of a character of the sender's user id, which is kept once per connection, or even once per message."""

KEY = 128
"""Bytes that the key of a post is charged to its sender."""

GROUP = 256
"""Bytes that a new group is charged to the user who opens it, beyond its name: a store remembers it for a while."""

GRAINS = 32
"""Most marks of one history within its window."""


class Window(NamedTuple):
    """How much is kept. Zero `messages` keeps nothing of groups, zero `inbox` nothing of users."""

    messages: int = 1000
    """Most messages of one group."""
    bytes: int = 524_288
    """Most bytes of one group, or of one user, each message with `OVERHEAD`."""
    age: float = 300.0
    """Seconds for which messages are kept, and empty groups and disconnected users are remembered."""
    inbox: int = 100
    """Most private messages of one user."""
    total: int = 268_435_456
    """Most bytes of all histories together; beyond that the oldest messages are dropped, in whichever group."""
    keys: int = 100_000
    """Keys of posts that are remembered at least, within the age."""
    idle_groups: int = 10_000
    """Most groups without members, and most users without connections, that are remembered."""
    restart_grace: float = 5.0
    """Seconds for which a connection that was told to reconnect is expected back: see `hubbub.groups.absences`."""
    user: int = 16_777_216
    """Most bytes that are kept because of one user, see `hubbub.groups.kept_bytes`; 0 for no limit."""

    def shared(self) -> str:
        """Return the settings that all nodes of one store should share, as text for the log."""
        return f"messages={self.messages} bytes={self.bytes} age={self.age:g} inbox={self.inbox} user={self.user}"


_SHARED = re.compile(
    r"messages=(\d{1,12}) bytes=(\d{1,15}) age=([\d.]{1,15}(?:e\+\d{1,2})?) inbox=(\d{1,12}) user=(\d{1,15})", re.ASCII
)


def parse_window(shared: str) -> Window:
    """Return the window whose `Window.shared` this is. An empty text, because no node has registered: keep nothing.

    Raises:
        ValueError: It is not such a text.
    """
    if not shared:
        return Window(messages=0, inbox=0)
    found = _SHARED.fullmatch(shared)
    if found is None:
        raise ValueError(f"not a window: {shared!r:.200}")
    messages, size, age, inbox, user = found.groups()
    return Window(int(messages), int(size), float(age), int(inbox), user=int(user))


class Replay(NamedTuple):
    """What a client that joins or reconnects receives before any new message.

    Attributes:
        position: The position of the last message so far.
        events: The messages to replay, in order; the last one has `position`.
        gap: Whether messages after the requested position are missing in `events`.
    """

    position: Position
    events: Sequence[Message | Private] = ()
    gap: bool = False


class History:
    """The last messages of one group or user; made by `Histories.new`.

    Attributes:
        epoch: Unique to this history; it never changes.
        seq: The number of the last message.
    """

    __slots__ = ("_bytes", "_counted", "_dirty", "_entries", "_limit", "_marked", "_size", "_store", "epoch", "seq")

    def __init__(self, store: Histories, epoch: str, limit: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self._store = store
        self._limit = limit
        self._bytes = store.window.bytes
        self._entries: deque[Message | Private] | None = (
            None  # created when needed: most users never get a private message
        )
        self._size = 0
        self._counted = 0  # the part of `_size` that the store has counted
        self._dirty = False
        self._marked = -1e9

    @property
    def position(self) -> Position:
        """The position of the last message."""
        return Position(self.epoch, self.seq)

    def append(self, event: Message | Private) -> int:
        """Give `event` the next number and keep it; return by how many bytes the history has grown."""
        self.seq = event.seq = self.seq + 1
        if not self._limit:
            return 0
        entries = self._entries
        if entries is None:
            entries = self._entries = deque()
        entries.append(event)
        weight = len(event.message) + CHARACTER * len(event.sender) + OVERHEAD  # `_weight`, without the call
        self._size = size = self._size + weight
        if not self._dirty:
            self._dirty = True
            self._store.grown.append(self)
        if size > self._bytes or len(entries) > self._limit:
            self._trim(entries)
            return self._size - size + weight
        return weight

    def grows(self, event: Message | Private) -> bool:
        """Return whether there is room for `event` without dropping another message."""
        return self._limit > self._length and self._size + _weight(event) <= self._bytes

    def since(self, position: Position) -> Replay:
        """Return every message after `position`, or a gap."""
        missed = self.seq - position.seq
        if position.epoch != self.epoch or not 0 <= missed <= self._length:
            return Replay(self.position, gap=True)
        return self.last(missed)

    def last(self, number: int) -> Replay:
        """Return the last `number` messages, or all if there are fewer."""
        length = self._length
        number = min(number, length)
        events = () if not number or self._entries is None else tuple(islice(self._entries, length - number, None))
        return Replay(self.position, events)

    def replay(self, since: Position | None, history: int) -> Replay:
        """Return the messages after `since`; without `since`, or with a gap, the last `history` messages."""
        if since is None:
            return self.last(history)
        resumed = self.since(since)
        return resumed._replace(events=self.last(history).events) if resumed.gap else resumed

    def drop_until(self, seq: int) -> None:
        """Drop the messages up to number `seq`."""
        entries = self._entries
        while entries and (entries[0].seq or 0) <= seq:
            self._size -= _weight(entries.popleft())

    def mark(self, now: float, grain: float) -> bool:
        """Return whether what was added may be marked at `now`, at most once per `grain`; if so, note it."""
        if now - self._marked < grain:
            return False
        self._marked = now
        self._dirty = False
        return True

    def recount(self) -> int:
        """Return by how many bytes the history has grown since the last call."""
        change, self._counted = self._size - self._counted, self._size
        return change

    @property
    def _length(self) -> int:
        return len(self._entries) if self._entries else 0

    def _trim(self, entries: deque[Message | Private]) -> None:
        size, limit, most = self._size, self._limit, self._bytes
        while entries and (len(entries) > limit or size > most):
            oldest = entries.popleft()
            size -= len(oldest.message) + CHARACTER * len(oldest.sender) + OVERHEAD  # `_weight`, without the call
        self._size = size


def _weight(event: Message | Private) -> int:
    """Return how many bytes a kept message counts."""
    return len(event.message) + CHARACTER * len(event.sender) + OVERHEAD


class Histories:
    """All histories of a process, and what they share: epochs, age, the limit on all bytes.

    Args:
        window: How much is kept.
        boot: The beginning of all epochs; no other process uses it.

    Attributes:
        grown: The histories with messages that are not marked yet.
        total: The bytes of all histories at the last sweep.
    """

    def __init__(self, window: Window, boot: str) -> None:
        self.window = window
        self.grown: list[History] = []
        self.total = 0
        self._boot = boot
        self._made = 0
        self._marks: deque[tuple[float, History, int]] = deque()

    def new(self, limit: int) -> History:
        """Return an empty history of at most `limit` messages, with an epoch of its own."""
        self._made += 1
        return History(self, f"{self._boot}.{self._made}", limit)

    def forget(self, history: History) -> None:
        """Drop the messages of a history that is not used any more."""
        history.drop_until(history.seq)
        self.total += history.recount()

    def sweep(self, now: float) -> None:
        """Drop messages older than the window at `now`, in seconds, and the oldest beyond the limit on all bytes."""
        grain = self.window.age / GRAINS
        later = []
        for history in self.grown:
            self.total += history.recount()
            if history.mark(now, grain):
                self._marks.append((now, history, history.seq))
            else:
                later.append(history)
        self.grown = later
        old, marks = now - self.window.age, self._marks
        while marks and (marks[0][0] <= old or self.total > self.window.total):
            _, history, seq = marks.popleft()
            history.drop_until(seq)
            self.total += history.recount()
