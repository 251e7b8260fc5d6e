"""How long one HTTP connection may take to send a request: one timer, and only for requests that come in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from hubbub.errors import ErrorCode
from hubbub.transports.refusal import HttpError

HEAD_TIMEOUT = 5.0
"""Seconds that a connection may take to send a complete head; then 408 (RFC 9110, section 15.5.9)."""

REQUEST_TIMEOUT = 30.0
"""Seconds that a whole request, head and body, may take; then 408."""


class RequestPart(Enum):
    """The part of a request that a connection sends next."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()  # the request is complete; another may follow
    FRAMES = auto()  # the connection has become a WebSocket, which another protocol handles


def time_limit(part: RequestPart) -> float:
    """Return how many seconds after its beginning a request may be in this part."""
    return HEAD_TIMEOUT if part is RequestPart.HEAD else REQUEST_TIMEOUT


def too_late(part: RequestPart) -> HttpError:
    """Return the error for a request that has exceeded its `time_limit`."""
    what = "The head of the request" if part is RequestPart.HEAD else "The request"
    text = f"{what} was not complete within {time_limit(part):g} seconds. Connect again and send it faster."
    return HttpError(408, ErrorCode.INVALID_REQUEST, text)


class RequestTimer:
    """The clock of one connection. It holds no callback while no timer runs, so it is part of no reference cycle."""

    __slots__ = ("_began", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._began = loop.time()

    def begin(self) -> None:
        """Note that a request begins now."""
        self._began = self._loop.time()

    def watch(self, limit: float, check: Callable[[], None]) -> None:
        """Call `check` when the request is older than `limit` seconds, unless a timer runs already."""
        if self._timer is None:
            self._timer = self._loop.call_at(self._began + limit, check)

    def expired(self, limit: float) -> bool:
        """Return whether the request is older than `limit` seconds. Called by `check`: no timer runs any more."""
        self._timer = None
        return self._loop.time() >= self._began + limit

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
