"""How long the store may be silent. Time in which this node's loop was busy does not count.

A reply may have arrived while the loop was busy, and not have been read yet. So what counts is the time in which the
loop could have read it: it looks every `WATCH` seconds, and a look that comes late counts no more than twice that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PATIENCE = 1.5
"""Seconds without a reply after which a connection is closed; its commands fail with it, so within 2 s."""

WATCH = 0.1
"""Seconds between two looks at what the store has not answered."""


class Looks:
    """Measures the time between looks."""

    def __init__(self) -> None:
        self._last = asyncio.get_running_loop().time()

    def look(self) -> float:
        """Return the seconds since the last look that count."""
        now = asyncio.get_running_loop().time()
        counted, self._last = min(now - self._last, 2 * WATCH), now
        return counted


@asynccontextmanager
async def time_limit() -> AsyncIterator[None]:
    """Limit what waits for the store to `PATIENCE`. Raises `TimeoutError`, like `asyncio.timeout`."""
    loop, looks, left = asyncio.get_running_loop(), Looks(), PATIENCE
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal left, timer
        left -= looks.look()
        if left > 0:
            timer = loop.call_later(min(WATCH, left), look)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(WATCH, look)
        try:
            yield
        finally:
            timer.cancel()
