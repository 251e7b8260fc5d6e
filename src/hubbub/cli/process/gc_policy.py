"""When Python's cyclic garbage collector runs: rarely, because it stops everything and finds nothing.

A connection leaves no reference cycles when it ends, so its memory is released at once, without the collector. With
the default thresholds the collector would still traverse all objects repeatedly while clients connect, for 50
milliseconds each time with 10,000 clients.
"""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 3, 100)
"""Thresholds of the three generations, as `gc.set_threshold` takes them. A collection of the middle generation takes 10
milliseconds at most; the oldest is collected after six million new objects."""


def collect_rarely() -> None:
    """Exempt all present objects from collection, and raise the thresholds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
