"""When Python's cyclic garbage collector runs: seldom, because it stops everything and finds nothing.

A connection leaves no cycles behind when it ends, so its memory is released at once, without the collector. With the
default thresholds it would still look through all objects again and again while clients connect: 50 milliseconds at a
time with 10,000 of them.
"""

from __future__ import annotations

import ctypes
import gc
import sys

THRESHOLDS = (20_000, 3, 100)
"""New objects until the young are looked at, how often that happens until the middle-aged are, and so on for the old.
One look at the middle-aged takes 10 milliseconds at most; one at the old comes after six million new objects."""


def collect_seldom() -> None:
    """Take what was made up to now out of the collector's sight, and let it run seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 65_536
"""Bytes from which a block of memory goes back to the system as soon as it is free."""


def give_back_memory() -> None:
    """Let glibc give large blocks back at once; otherwise it learns from a burst to keep them (mallopt(3))."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, LARGE)
