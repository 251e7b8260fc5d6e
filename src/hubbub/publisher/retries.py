"""Which failures of a call are worth another attempt, and after how long. Pure."""

from __future__ import annotations

from hubbub.errors import CommandError, ErrorCode

ATTEMPT = 5.0
"""Seconds after which an attempt is given up, so that a server that hangs leaves time for another one."""

BACKOFF_BASE = 0.05
BACKOFF_CAP = 1.0
"""Seconds: the upper limit of the first pause, and of all pauses. Somebody waits for the call, so they are short."""

_PASSING = {ErrorCode.UNAVAILABLE, ErrorCode.RATE_LIMITED}


class AttemptError(Exception):
    """An attempt has failed.

    Args:
        error: What the caller is told if there is no further attempt.
        retry_after: Seconds to wait at least before the next one, if the server has said so.
        final: Whether a further attempt cannot succeed, whatever the code says.
    """

    def __init__(self, error: CommandError, retry_after: float | None = None, *, final: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after
        self.final = final


def pause_before_retry(failure: AttemptError, number: int, left: float, random: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there is none.

    Retried are ``UNAVAILABLE`` and ``RATE_LIMITED``, with full jitter, and no sooner than the server asks for.

    Args:
        failure: How the last attempt failed.
        number: How many attempts have failed before.
        left: Seconds that the call has left. A pause that would use them up is not worth waiting for.
        random: A number from 0 to 1.
    """
    if failure.final or failure.error.code not in _PASSING:
        return None
    pause = max(random * min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(number, 10)), failure.retry_after or 0.0)
    return pause if pause < left else None


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header; None for a date or anything else (RFC 9110, section 10.2.3)."""
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 9:
        return None
    return float(value)
