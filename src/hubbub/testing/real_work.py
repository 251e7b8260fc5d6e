"""What an app does in real time, as far as its event loop can tell: threads that work for it, and sockets of hooks."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter

LONGEST = 10.0
"""Seconds after which a call in an executor no longer counts: it runs for as long as the app does."""

_OWN_SOCKETS = 1
"""Sockets of an event loop that has none: threads wake it through a pair of sockets, and it watches one of them."""


class RealWork:
    """Tells whether something is awaited that takes real time.

    Counted are calls of ``loop.run_in_executor``, which ``asyncio.to_thread`` and asgiref use, and those of
    ``anyio.to_thread.run_sync``, which Starlette and FastAPI use. What runs when this object is made does not count.

    An open socket says nothing: a pool of connections to a database has some all the time. So sockets count only
    while a hook runs.

    Args:
        loop: The event loop.
        selector: That of the loop.

    Attributes:
        hooks: Functions that return how many hooks of a hub run.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, selector: selectors.BaseSelector) -> None:
        self.hooks: list[Callable[[], int]] = []
        self._selector = selector
        self._calls: dict[asyncio.Future[Any], float] = {}
        self._limiter: CapacityLimiter = current_default_thread_limiter()
        self._borrowed = self._limiter.borrowed_tokens
        self._run_in_executor = loop.run_in_executor
        loop.run_in_executor = self._run_counted  # type: ignore[method-assign, assignment]

    def pending(self) -> bool:
        """Return whether time must pass as it does outside."""
        if self._limiter.borrowed_tokens > self._borrowed:
            return True
        if self._calls and max(self._calls.values()) > time.monotonic() - LONGEST:
            return True
        return len(self._selector.get_map()) > _OWN_SOCKETS and any(running() for running in self.hooks)

    def _run_counted(self, executor: Any, function: Any, *arguments: Any) -> asyncio.Future[Any]:
        call: asyncio.Future[Any] = self._run_in_executor(executor, function, *arguments)
        self._calls[call] = time.monotonic()
        call.add_done_callback(self._calls.pop)
        return call
