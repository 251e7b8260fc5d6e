"""What a call costs: processor time, in steps of the plainest Python loop over bytes, and bytes that its result keeps.

Seconds mean something else on every machine, and on this one while others work. A *step* is what ``for byte in data:
total += byte`` takes for one byte, so "three steps for each byte" is the same promise everywhere, and a loop over the
bytes of the input in Python can hardly keep it.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

REPEAT = 12
"""How often a call is timed at most; the quickest counts, so that what disturbs one or two does not."""

TRIES = 4
"""How often a step is measured again at most before a call counts as too slow."""

SURELY = 8
"""From how many times what is allowed on a single run is enough to know."""


class Budget(NamedTuple):
    """What a call may cost.

    Attributes:
        steps: Steps for each byte of input.
        base: Steps on top, whatever the input is.
        kept: Bytes that the result may keep for each byte of input.
        kept_base: Bytes that it may keep on top.
        answer: Bytes that what is said back may have.
    """

    steps: float = 3.0
    base: float = 12_000.0
    kept: float = 8.0
    kept_base: int = 4_096
    answer: int = 1_536

    def seconds(self, size: int) -> float:
        """Return the processor time that an input of `size` bytes may take here."""
        return (self.base + self.steps * size) * step()


@cache
def step() -> float:
    """Return the seconds of one step on this machine, as it is now."""
    data = bytes(65_536)

    def loop() -> None:
        total = 0
        for byte in data:
            total += byte

    return min(_time(loop) for _ in range(30)) / len(data)


def timed(call: Callable[[], object], budget: Budget, size: int) -> tuple[float, float]:
    """Return the processor time that `call` takes, and the time that `budget` allows for an input of `size` bytes.

    The step is measured again before a call counts as too slow: the machine may be slower than it was the last time,
    because other programs use the same caches.
    """
    for _ in range(TRIES):
        allowed = budget.seconds(size)
        took = quickest(call, allowed)
        if took <= allowed or took > SURELY * allowed:
            break
        step.cache_clear()
    return took, allowed


def quickest(call: Callable[[], object], enough: float) -> float:
    """Return the processor time of the quickest of some runs of `call`; no more runs when one took at most `enough`."""
    best = float("inf")
    gc.disable()  # the server's collector runs seldom, too
    try:
        for _ in range(REPEAT):
            best = min(best, _time(call))
            if best <= enough or best > SURELY * enough:
                break
    finally:
        gc.enable()
    return best


def _time(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def kept_bytes(make: Callable[[], object]) -> tuple[int, int]:
    """Return how many bytes are in use for as long as the result of `make` is, and how many were at the worst moment.

    What `make` makes on its way counts if the result holds on to it, as a view does what it looks at, and if it is a
    cycle, which only the collector could give back.
    """
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = make()
        after, peak = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
        gc.enable()
    return after - before, peak - before
