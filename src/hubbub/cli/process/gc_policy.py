"""When Python's cyclic garbage collector runs: seldom, because it stops everything and finds nothing.

A connection leaves no cycles behind when it ends, so its memory is released at once, without the collector. With the
default thresholds it would still look through all objects again and again while clients connect: 50 milliseconds at a
time with 10,000 of them.
"""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 3, 100)
"""New objects until the young are looked at, how often that happens until the middle-aged are, and so on for the old.
One look at the middle-aged takes 10 milliseconds at most; one at the old comes after six million new objects."""


def collect_seldom() -> None:
    """Take what was made up to now out of the collector's sight, and let it run seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
