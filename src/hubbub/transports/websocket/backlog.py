"""The bytes that a slow connection has still to read, bounded in number and in time. Pure.

Up to `RELAXED` bytes nothing is checked. Above that every write is checked before it is queued, so that the limit holds
to the byte, and the client must read something now and then: one that reads nothing at all is found long before the
limit is reached.
"""

from __future__ import annotations

from typing import Protocol

RELAXED = 65_536
"""Bytes that may wait for a connection without any checks."""

STALLED_AFTER = 5.0
"""Seconds after which a connection with a backlog that has read not one byte counts as stalled."""

LOOK = 0.5
"""Seconds between two checks of a backlog."""


class Queue(Protocol):
    """The buffer in which the bytes wait."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        ...


class Backlog:
    """The backlog of one connection.

    Args:
        queue: The buffer in which the bytes wait.
        most: How many bytes may wait.
        now: Seconds.
    """

    __slots__ = ("_most", "_moved", "_queue", "_taken", "_written")

    def __init__(self, queue: Queue, most: int, now: float) -> None:
        self._queue = queue
        self._most = most
        self._written = queue.get_write_buffer_size()
        self._taken = 0
        self._moved = now

    @property
    def overfull(self) -> bool:
        """Whether more bytes wait than are allowed."""
        return self._queue.get_write_buffer_size() > self._most

    def admit(self, size: int) -> bool:
        """Return whether `size` more bytes may wait, and count them if so."""
        if self._queue.get_write_buffer_size() + size > self._most:
            return False
        self._written += size
        return True

    def stalled(self, now: float) -> bool:
        """Return whether the client has read nothing for `STALLED_AFTER` seconds."""
        taken = self._written - self._queue.get_write_buffer_size()
        if taken > self._taken:
            self._taken, self._moved = taken, now
        return now - self._moved >= STALLED_AFTER
