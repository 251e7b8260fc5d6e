"""Admits new connections at the rate that the node can bear, so that existing ones stay fast. Pure.

What a new connection costs (handshake, token, join, notices to its group) differs by a factor of a hundred from one
application to the next, so no fixed number could be right. The rate is measured: while connections are queued, every
`INTERVAL` seconds the node looks at how long it has worked since the last look. After more than `BUSY` seconds the rate
is lowered, otherwise it is raised. What counts is the CPU time of this process, not the time that has passed: admitting
fewer connections would not help against other processes on the same machine.

The first `BURST` connections are admitted at once. A transport refuses a connection that would wait for too long:
`Admission.wait` says how long that is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

INTERVAL = 0.01
"""Seconds between two measurements."""

BUSY = 0.02
"""Seconds of work between two measurements above which the rate is lowered."""

INITIAL_RATE, MIN_RATE, MAX_RATE = 3_000.0, 100.0, 20_000.0
"""Connections a second: at the start, and the bounds."""

FASTER, SLOWER = 1.02, 0.6
"""What the rate is multiplied by after a measurement."""

BURST = 32.0
"""Connections that are admitted at once if there were none before."""


class Admission:
    """The queue of new connections of one node.

    Args:
        schedule: Calls a function after so many seconds.
        now: Seconds on a clock that never goes back.
        work: CPU time of this process so far, seconds.

    Attributes:
        rate: Connections a second that are admitted at present while some are queued.
    """

    def __init__(
        self,
        schedule: Callable[[float, Callable[[], None]], object],
        now: Callable[[], float],
        work: Callable[[], float],
    ) -> None:
        self.rate = INITIAL_RATE
        self._schedule = schedule
        self._now = now
        self._work = work
        self._queue: deque[Callable[[], object]] = deque()
        self._level = BURST
        self._filled = now()
        self._worked = 0.0

    @property
    def waiting(self) -> int:
        """How many connections are queued."""
        return len(self._queue)

    @property
    def wait(self) -> float:
        """For how long a connection that comes now will be queued, in seconds; an estimate."""
        return len(self._queue) / self.rate

    def enter(self, accept: Callable[[], object]) -> bool:
        """Call `accept` now and return True, or queue it to be called later and return False."""
        if not self._queue:
            self._fill()
            if self._level >= 1:
                self._level -= 1
                accept()
                return True
            self.rate = min(self.rate, INITIAL_RATE)  # the rate of the last queue may be too high for this one
            self._worked = self._work()
            self._schedule(INTERVAL, self._measure)
        self._queue.append(accept)
        return False

    def _measure(self) -> None:
        worked = self._work()
        busy, self._worked = worked - self._worked > BUSY, worked
        self.rate = min(max(self.rate * (SLOWER if busy else FASTER), MIN_RATE), MAX_RATE)
        self._fill()
        while self._queue and self._level >= 1:
            self._level -= 1
            self._queue.popleft()()
        if self._queue:
            self._schedule(INTERVAL, self._measure)

    def _fill(self) -> None:
        now = self._now()
        most = max(BURST, 2 * INTERVAL * self.rate)  # a measurement that is late does not admit everybody at once
        self._level = min(most, self._level + (now - self._filled) * self.rate)
        self._filled = now
