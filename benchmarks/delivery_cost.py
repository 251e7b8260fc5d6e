"""What history costs: deliveries per CPU-second of the server with it and without, in turn."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from delivery_judge import LIMITS, Listener, Posts, begin

from support.server_process import ServerProcess
from support.store import Store

OFF = ("--history-messages", "0", "--inbox-messages", "0")
SHAPES = {"5 groups of 20": (5, 20, 400), "100 groups of 2": (100, 2, 1500)}
"""Groups, members of each, posts a second."""


def cpu(target: ServerProcess) -> float:
    """Return the CPU seconds that a server has used."""
    fields = Path(f"/proc/{target.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(options: tuple[str, ...], shape: tuple[int, int, int], seconds: float) -> float:
    """Return the deliveries per CPU-second of a server of its own."""
    groups, members, rate = shape
    with ServerProcess(*LIMITS, *options) as target:
        listeners = [Listener(target.url, f"u{number}", f"g{number % groups}") for number in range(groups * members)]
        await begin(listeners)
        posts = Posts(listeners)
        await posts.run(rate, time.monotonic() + 1)
        before, used = sum(len(each.heard) for each in listeners), cpu(target)
        await posts.run(rate, time.monotonic() + seconds)
        heard, used = sum(len(each.heard) for each in listeners) - before, cpu(target) - used
        await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    return heard / used


async def cost(shared: bool, rounds: int = 5, seconds: float = 5.0) -> None:
    """Compare history on and off for groups large and small."""
    with ExitStack() as running:
        backend = ("--backend", running.enter_context(Store()).url()) if shared else ()
        for name, shape in SHAPES.items():
            ratios, rates = [], []
            for _ in range(rounds):
                on = await measure(backend, shape, seconds)
                off = await measure((*backend, *OFF), shape, seconds)
                ratios.append(on / off)
                rates.append(on)
            print(
                f"cost, {name}: {statistics.median(rates):,.0f} deliveries per CPU-second with history, "
                f"{statistics.median(ratios):.2f} times those without ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )
