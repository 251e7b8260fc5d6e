"""A circuit breaker: while an app is away, it is asked once in a while and not for every command. Pure."""

from __future__ import annotations

FAILURES = 5
"""Failures in a row after which the app counts as away."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds until an app that is away is asked again, and the most to which they double."""


class Breaker:
    """Whether an app may be asked now.

    Attributes:
        away: Whether the app counts as away. One call at a time then tries it, after a pause.
    """

    def __init__(self) -> None:
        self.away = False
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self._trying = False

    def allows(self, now: float) -> bool:
        """Whether to ask the app; then `succeeded` or `failed` must be called. `now` is seconds on a steady clock."""
        if not self.away:
            return True
        if self._trying or now < self._until:
            return False
        self._trying = True
        return True

    def succeeded(self) -> bool:
        """Note that the app has answered, whatever it said; return whether it was away until now."""
        was_away = self.away
        self.away = self._trying = False
        self._failures, self._pause = 0, FIRST_PAUSE
        return was_away

    def failed(self, now: float) -> bool:
        """Note that the app has not answered; return whether it counts as away from now on."""
        if self.away:
            if self._trying:
                self._trying = False
                self._until = now + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return False  # otherwise it was asked before the app was found to be away
        self._failures += 1
        if self._failures < FAILURES:
            return False
        self.away = True
        self._until = now + self._pause
        self._pause *= 2
        return True
