"""Lets newcomers in at the rate that the node can bear, so that those who are here notice nothing of a crowd. Pure.

What a newcomer costs (handshake, token, join, what its group hears of it) differs by a factor of a hundred from one
program to the next, so no number could be right. The rate is found: while a line stands at the door, a look at it every
`STEP` finds out how long the node has worked since the one before. Was that more than `BUSY`, fewer are let in; less,
more. What counts is the time that this process has worked, not what the clock says: fewer newcomers would not help
against others on the same machine.

A few come in at once, without a look at anything. Who would stand in line for too long had better be told so:
`Admission.wait` says how long it will be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

STEP = 0.01
"""Seconds between two looks."""

BUSY = 0.02
"""Seconds of work between two looks from which fewer are let in."""

FIRST, SLOWEST, FASTEST = 3_000.0, 100.0, 20_000.0
"""Newcomers a second: at the start, and between these bounds."""

FASTER, SLOWER = 1.02, 0.6
"""What the rate is multiplied by after a look."""

BURST = 32.0
"""Newcomers that come in at once when nobody came before."""


class Admission:
    """The door of one node.

    Args:
        schedule: Calls a function after so many seconds.
        now: A clock that only rises, seconds.
        work: How long this process has worked so far, seconds.

    Attributes:
        rate: How many a second are let in at present while there is a line.
    """

    def __init__(
        self,
        schedule: Callable[[float, Callable[[], None]], object],
        now: Callable[[], float],
        work: Callable[[], float],
    ) -> None:
        self.rate = FIRST
        self._schedule = schedule
        self._now = now
        self._work = work
        self._line: deque[Callable[[], object]] = deque()
        self._level = BURST
        self._filled = now()
        self._worked = 0.0

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @property
    def wait(self) -> float:
        """How long who comes now will have to wait, seconds; about."""
        return len(self._line) / self.rate

    def enter(self, newcomer: Callable[[], object]) -> bool:
        """Call `newcomer` and return True; or, if it is not its turn yet, return False and call it when it is."""
        if not self._line:
            self._fill()
            if self._level >= 1:
                self._level -= 1
                newcomer()
                return True
            self.rate = min(self.rate, FIRST)  # what was right for the last line may be too much for this one
            self._worked = self._work()
            self._schedule(STEP, self._look)
        self._line.append(newcomer)
        return False

    def _look(self) -> None:
        worked = self._work()
        busy, self._worked = worked - self._worked > BUSY, worked
        self.rate = min(max(self.rate * (SLOWER if busy else FASTER), SLOWEST), FASTEST)
        self._fill()
        while self._line and self._level >= 1:
            self._level -= 1
            self._line.popleft()()
        if self._line:
            self._schedule(STEP, self._look)

    def _fill(self) -> None:
        now = self._now()
        most = max(BURST, 2 * STEP * self.rate)  # a late look does not let in everybody at once
        self._level = min(most, self._level + (now - self._filled) * self.rate)
        self._filled = now
