"""A log that clients cannot fill: at most some lines per cause and minute, then how many more there were.

Install it on a handler: ``handler.addFilter(LogThrottle())``. A cause is a place that logs: the logger, the text before
its arguments are filled in, and the kind of exception. So whoever logs what clients can provoke passes what differs as
arguments (``log.warning("cannot parse %s", name)``), never inside the text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LINES = 10
"""Lines of one cause within `SECONDS`."""

SECONDS = 60.0
"""Seconds after which a cause may log anew."""

CAUSES = 1000
"""Causes that are counted one by one; all further ones are counted as one."""

NEVER_LIMITED = frozenset({"hubbub.access"})
"""Loggers whose lines somebody has asked for, one by one."""

_Cause = tuple[str, str, str]
_OTHERS: _Cause = ("", "", "")


class _Count:
    """What one cause has logged since `began`."""

    __slots__ = ("began", "lines")

    def __init__(self, began: float) -> None:
        self.began = began
        self.lines = 0


class LogThrottle(logging.Filter):
    """A filter that lets `LINES` records of each cause pass in `SECONDS`, and says how many it has left out.

    Args:
        now: Seconds, on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._counts: dict[_Cause, _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be logged. Its text may say at the end how many like it were not."""
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
            text = f"[{left_out} more like the next were left out in the last {SECONDS:g} s or longer] "
            record.msg, record.args = text + record.getMessage(), None
        elif count.lines == LINES:
            text = f" [more like this are left out for up to {SECONDS:g} s]"
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
        """Forget the causes whose time is over, so that they make room."""
        self._counts = {cause: count for cause, count in self._counts.items() if now - count.began < SECONDS}


def _cause(record: logging.LogRecord) -> _Cause:
    text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    error = record.exc_info[0] if record.exc_info else None
    return (record.name, text[:200], "" if error is None else error.__qualname__)
