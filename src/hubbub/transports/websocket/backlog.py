"""What a connection that reads more slowly than it is written to has still to read: bounded in bytes and in time. Pure.

Up to `RELAXED` bytes nobody looks. Above that every write is checked before it is queued, so that the bound holds to
the byte, and the queue has to get shorter now and then: who reads nothing at all is found long before the bytes are
many.
"""

from __future__ import annotations

from typing import Protocol

RELAXED = 65_536
"""Bytes that may wait for a connection without being looked at."""

STALLED_AFTER = 5.0
"""Seconds without a byte taken after which a connection with a backlog counts as stalled."""

LOOK = 0.5
"""Seconds between two looks at a backlog."""


class Queue(Protocol):
    """Where the bytes wait."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        ...


class Backlog:
    """The backlog of one connection, from the moment at which there was one.

    Args:
        queue: Where the bytes wait.
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
        """Whether more bytes wait than may."""
        return self._queue.get_write_buffer_size() > self._most

    def admit(self, size: int) -> bool:
        """Return whether `size` more bytes may wait, and count them if so."""
        if self._queue.get_write_buffer_size() + size > self._most:
            return False
        self._written += size
        return True

    def stalled(self, now: float) -> bool:
        """Return whether nothing has been taken for `STALLED_AFTER` seconds."""
        taken = self._written - self._queue.get_write_buffer_size()
        if taken > self._taken:
            self._taken, self._moved = taken, now
        return now - self._moved >= STALLED_AFTER
