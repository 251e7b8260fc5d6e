"""How many HTTP requests each user may make: one rate for each user, over all connections. Pure: time is passed in.

A WebSocket has a rate of its own, but HTTP requests of one user come over as many connections as it likes, so they are
counted by user id. All callers without a token, who exist only while guests are let in, share one rate.
"""

from __future__ import annotations

from hubbub.auth.identity import Identity
from hubbub.errors import ErrorCode
from hubbub.transports.refusal import HttpError

MOST_USERS = 10_000
"""Users that are remembered; about 1 kB each at most. Beyond, whoever asked least recently begins anew."""

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
        self._levels: dict[str, tuple[float, float]] = {}  # level and when it was true; least recently used first

    def __len__(self) -> int:
        """Return how many users are remembered."""
        return len(self._levels)

    def spend(self, identity: Identity, now: float) -> None:
        """Count a request of `identity` at `now`, seconds.

        Programs with a server token are not limited: they ask for all users of their service, and only the operator can
        make such tokens.

        Raises:
            HttpError: 429 ``RATE_LIMITED``; its ``Retry-After`` says after how many seconds the next one is answered.
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
                f"Too many requests: {self._rate:g} a second are allowed to one user, all connections together; "
                f"try again in {wait} s."
            )
            raise HttpError(429, ErrorCode.RATE_LIMITED, text, {"Retry-After": str(wait)})
