"""A log filter, so that clients cannot flood the log: at most `LINES` lines per cause and minute, then a count.

Install it on a handler: ``handler.addFilter(LogThrottle())``. A cause is the logger, the text before its arguments are
filled in, and the type of the exception. So code that logs what clients can cause passes the variable parts as
arguments (``log.warning("cannot parse %s", name)``), never inside the text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LINES = 10
"""Most lines of one cause within `SECONDS`."""

SECONDS = 60.0
"""Seconds after which a cause may log again."""

CAUSES = 1000
"""Most causes that are counted separately; all further ones are counted as one."""

NEVER_LIMITED = frozenset({"hubbub.access", "hubbub.origins"})
"""Loggers that are never limited: the operator has asked for every line, or the logging code has a limit of its own."""

_Cause = tuple[str, str, str]
_OTHERS: _Cause = ("", "", "")


class _Count:
    """What one cause has logged since `began`."""

    __slots__ = ("began", "lines")

    def __init__(self, began: float) -> None:
        self.began = began
        self.lines = 0


class LogThrottle(logging.Filter):
    """A filter that passes `LINES` records of each cause in `SECONDS`, and says how many it has left out.

    Args:
        now: Seconds, on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._counts: dict[_Cause, _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record. To its text it may add how many records like it were left out."""
        if record.name in NEVER_LIMITED:
            return True
        now = self._now()
        count = self._count(_cause(record), now)
        left_out = 0
        if now - count.began >= SECONDS:
            left_out = max(0, count.lines - LINES)
            count.began, count.lines = now, 0
        count.lines += 1
        if left_out:
            text = f"[{left_out} more lines like this one were left out in the last {SECONDS:g} s or longer] "
            record.msg, record.args = text + record.getMessage(), None
        elif count.lines == LINES:
            text = f" [further lines like this one are left out for up to {SECONDS:g} s]"
            record.msg, record.args = record.getMessage() + text, None
        return count.lines <= LINES

    def _count(self, cause: _Cause, now: float) -> _Count:
        found = self._counts.get(cause)
        if found is None:
            if len(self._counts) >= CAUSES:
                self._forget(now)
            if len(self._counts) >= CAUSES:
                cause = _OTHERS
            found = self._counts.setdefault(cause, _Count(now))
        return found

    def _forget(self, now: float) -> None:
        """Forget the causes whose `SECONDS` are over, to make room."""
        self._counts = {cause: count for cause, count in self._counts.items() if now - count.began < SECONDS}


def _cause(record: logging.LogRecord) -> _Cause:
    text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    error = record.exc_info[0] if record.exc_info else None
    return (record.name, text[:200], "" if error is None else error.__qualname__)
