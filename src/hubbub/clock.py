"""Which clock a server or hub reads: the system's, or the virtual one of an event loop in tests.

Whatever measures time asks here once, when it is made, and keeps the functions. So a message costs no further call, and
everything in one event loop follows the same clock: `hubbub.testing` gives a loop a clock of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary


class Clock(NamedTuple):
    """Two functions that return seconds."""

    monotonic: Callable[[], float]
    """Seconds on a clock that never goes back, as that of the event loop."""
    unix_time: Callable[[], float]
    """Unix time: what the claims of tokens are compared with."""
    refill: Callable[[], float] | None = None
    """What refills the time budgets of users; None for the event loop's clock. They count CPU time, which is real: on a
    clock that stands still while code runs, a budget that is used up would never be refilled."""


SYSTEM = Clock(time.monotonic, time.time)
"""The clock of the system."""

_replaced: WeakKeyDictionary[asyncio.AbstractEventLoop, Clock] = WeakKeyDictionary()


def running_clock() -> Clock:
    """Return the clock of the running event loop. Raises `RuntimeError` if none is running."""
    return _replaced.get(asyncio.get_running_loop(), SYSTEM)


def replace_clock(loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
    """Let everything that is started in `loop` from now on read `clock`; its timers follow ``loop.time()`` anyway."""
    _replaced[loop] = clock
