"""Scenarios of `delivery`: a worker with 3,000 clients is killed, and a process with clients is suspended."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from delivery_clients import ClientProcess
from delivery_judge import LIMITS, Listener, Posts, begin, report, until, verdict

from hubbub.messages import Position
from support.server_process import ServerProcess
from support.store import Store

PROCESSES = 2
"""Processes for the clients: as many as this machine has cores."""


PAUSE = 8.0
"""Seconds from one kill to the next: a client that loses a connection younger than 5 s backs off longer each time."""


async def many(shared: bool, rounds: int = 20, clients: int = 3000, groups: int = 100) -> None:
    """The fullest of three workers behind one port is killed again and again; its clients reconnect to the others."""
    times: list[float] = []
    with ExitStack() as running, Store() as store:
        node = running.enter_context(ServerProcess(*LIMITS, "--backend", store.url(), "--workers", "3"))
        each = clients // PROCESSES
        processes = [await ClientProcess.start(node.url, each, number * each, groups) for number in range(PROCESSES)]
        posters = [Listener(node.url, f"poster{number}", f"g{number}") for number in range(groups)]
        await begin(posters)
        posts, deaths = Posts(posters), list[float]()
        for _ in range(rounds):
            await until(lambda: len(workers(node)) == 3)
            busy = asyncio.create_task(posts.run(100, time.monotonic() + PAUSE))
            await asyncio.sleep(1)
            os.kill(max(workers(node), key=connections), signal.SIGKILL)
            deaths.append(time.monotonic())
            await busy
        positions = await all_heard(posters, posts)
        await asyncio.gather(*(process.end(positions) for process in processes))
        await asyncio.gather(*(each.client.close_realtime() for each in posters))
    for back in (back for process in processes for back in process.back):
        times += [at - max(died for died in deaths if died < at) for at in back[1:]]
    found = verdict([*posters, *(each for process in processes for each in process.histories)], posts)
    p99 = statistics.quantiles(times, n=100)[98]
    report("many", len(deaths), rounds, found, resumed=len(times), p99=f"{p99:.2f} s", longest=f"{max(times):.2f} s",
           failed=posts.failed)  # fmt: skip
    assert len(times) > rounds * clients / 6, "too few were struck: nothing was proved"


def workers(node: ServerProcess) -> list[int]:
    """Return the processes that serve."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def connections(process: int) -> int:
    """Return how many files a process has open; nearly all of them are connections."""
    return len(os.listdir(f"/proc/{process}/fd"))


async def all_heard(listeners: list[Listener], posts: Posts) -> dict[str, Position]:
    """Wait until all have received as many messages as were acknowledged; return the positions by group."""
    await until(lambda: all(len(each.heard) >= len(posts.done[each.group]) for each in listeners))
    return {each.group: each.client.position for each in listeners if each.client.position is not None}


async def stopped(shared: bool, seconds: float = 60.0, clients: int = 100) -> None:
    """A process with clients is suspended, again and again, for longer than a node waits for a pong."""
    with ExitStack() as running:
        options: tuple[str, ...] = (*LIMITS, "--ping-interval", "0.5")
        if shared:
            options += ("--backend", running.enter_context(Store()).url())
        nodes = [running.enter_context(ServerProcess(*options)) for _ in range(2 if shared else 1)]
        listeners = [
            Listener(nodes[number % len(nodes)].url, f"here{number}", f"g{number % 5}") for number in range(25)
        ]
        await begin(listeners)
        process = await ClientProcess.start(nodes[0].url, clients, 0, 5)
        posts, begun = Posts(listeners), time.monotonic()
        posting = asyncio.create_task(posts.run(100, begun + seconds))
        while time.monotonic() < begun + seconds - 3:
            process.signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            process.signal(signal.SIGCONT)
            await asyncio.sleep(1.0)
        await posting
        await process.end(await all_heard(listeners, posts))
        await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    returns = sum(len(back) - 1 for back in process.back)
    report("stopped", returns, clients, verdict([*listeners, *process.histories], posts), failed=posts.failed)
