"""Waiting for a condition in code without an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds to wait, if the caller does not say."""


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
