"""How many commands a connection may send, and how many frames it may waste. Pure: time is passed in."""

from __future__ import annotations

WASTED_PER_COMMAND = 5
"""Frames that a connection may waste for each command that it may send (`RateLimit.waste`)."""


class RateLimit:
    """The rate limit of one connection: a token bucket for commands, a leaky bucket for wasted frames.

    Args:
        limit: Commands a second in the long run; 0 for no limit.
        burst: Commands at once.
        now: Seconds.
    """

    __slots__ = ("_burst", "_level", "_limit", "_refilled", "_wasted", "_wasted_at")

    def __init__(self, limit: float, burst: int, now: float) -> None:
        self._limit = limit
        self._burst = burst
        self._level = float(burst)
        self._refilled = now
        self._wasted = 0.0
        self._wasted_at = now

    def take(self, now: float) -> bool:
        """Take a token out of the bucket, which fills at the limit, up to the burst; return whether there was one."""
        if not self._limit:
            return True
        level = min(self._burst, self._level + (now - self._refilled) * self._limit)
        self._refilled = now
        self._level = level - 1 if level >= 1 else level
        return level >= 1

    def waste(self, now: float) -> bool:
        """Count a frame that costs time and does nothing; return whether there were too many.

        A few are normal. More than `WASTED_PER_COMMAND` for each command that is allowed, at once or in the long run,
        are too many.
        """
        if not self._limit:
            return False
        forgotten = (now - self._wasted_at) * WASTED_PER_COMMAND * self._limit
        self._wasted = max(0.0, self._wasted - forgotten) + 1
        self._wasted_at = now
        if self._wasted <= WASTED_PER_COMMAND * self._burst:
            return False
        self._wasted = 0.0
        return True
