"""How many HTTP requests each user may make, over all connections together. Pure: time is passed in.

A WebSocket has a rate of its own. HTTP requests of one user can come over any number of connections, so they are
counted by user id. All callers without a token, which only a server that accepts guests answers, share one rate.
"""

from __future__ import annotations

from hubbub.auth.identity import Identity
from hubbub.errors import ErrorCode
from hubbub.transports.refusal import HttpError

MOST_USERS = 10_000
"""Most users that are remembered, at about 1 kB each. Beyond that, the one that asked least recently is forgotten."""

LONGEST_RETRY = 3600
"""Most seconds of a ``Retry-After``."""


class RequestRates:
    """A token bucket for each user.

    Args:
        rate: Requests a second in the long run; 0 for no limit.
        burst: Requests at once.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._levels: dict[str, tuple[float, float]] = {}  # level and its time; least recently used first

    def __len__(self) -> int:
        """Return how many users are remembered."""
        return len(self._levels)

    def spend(self, identity: Identity, now: float) -> None:
        """Count a request of `identity` at `now`, seconds.

        Programs with a server token are not limited: they ask on behalf of all users of their service, and only the
        operator can make such tokens.

        Raises:
            HttpError: 429 ``RATE_LIMITED``; its ``Retry-After`` says after how many seconds a request is allowed again.
        """
        if not self._rate or identity.server:
            return
        level, since = self._levels.pop(identity.user_id, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        allowed = level >= 1
        self._levels[identity.user_id] = (level - 1 if allowed else level, now)
        if len(self._levels) > MOST_USERS:
            del self._levels[next(iter(self._levels))]
        if not allowed:
            wait = min(LONGEST_RETRY, int((1 - level) / self._rate) + 1)
            text = (
                f"Too many requests: one user may make {self._rate:g} per second, over all connections together. "
                f"Try again in {wait} s."
            )
            raise HttpError(429, ErrorCode.RATE_LIMITED, text, {"Retry-After": str(wait)})
