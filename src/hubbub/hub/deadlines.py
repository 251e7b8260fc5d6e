"""The time limit of hooks. One timer for all of them: a timer for each would cost as much as a short hook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


class Deadlines:
    """Cancels tasks whose hook takes too long.

    All hooks have the same limit, so they are late in the order in which they began, which is the order of the dict.

    Args:
        seconds: The limit.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._until: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[Any], now: float) -> None:
        """Cancel `task` when the limit is over, unless `end` comes first. `now` is the present time on the clock."""
        self._until[task] = now + self._seconds
        if self._timer is None:
            self._timer = task.get_loop().call_later(self._seconds, self._look, task.get_loop())

    def end(self, task: asyncio.Task[Any]) -> bool:
        """Let `task` go on; return whether it was cancelled because of the limit. That is then taken back."""
        if self._until.pop(task, None) is not None:
            return False
        task.uncancel()
        return True

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, now = None, self._now()
        for task, until in list(self._until.items()):
            if until > now:
                self._timer = loop.call_later(until - now, self._look, loop)
                return
            del self._until[task]
            task.cancel()
