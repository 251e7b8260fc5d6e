"""Waiting for a condition, in an event loop and without one; how long a test waits for anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which something that a test waits for has failed. Nearly everything takes less than one, but a machine
under load may stand still for several. Only a test that fails waits for so long."""


async def reached(condition: Callable[[], object]) -> None:
    """Wait until the condition holds. Raises `TimeoutError` after `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Wait until the condition holds; return the seconds that it took, or infinity if it did not hold in time."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - began


def settle(look: Callable[[], T], before: T, seconds: float = 10.0) -> T:
    """Call `look` until it returns `before` or the time is up; return its last result."""
    deadline = time.monotonic() + seconds
    while (seen := look()) != before and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen
