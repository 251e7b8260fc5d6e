"""Scenarios of `delivery`: a worker is killed under 3,000 clients, and a crowd is stopped by its machine."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from delivery_crowd import Crowd
from delivery_judge import LIMITS, Listener, Posts, begin, report, until, verdict

from hubbub.messages import Position
from support.server_process import ServerProcess
from support.store import Store

CROWDS = 2
"""Processes that the clients are in: as many as this machine has cores."""


PAUSE = 8.0
"""Seconds from one kill to the next: who loses a connection that was younger than 5 s waits longer and longer."""


async def many(shared: bool, rounds: int = 20, clients: int = 3000, groups: int = 100) -> None:
    """The fullest of three workers behind one port is killed again and again; its clients go on at the others."""
    times: list[float] = []
    with ExitStack() as running, Store() as store:
        node = running.enter_context(ServerProcess(*LIMITS, "--backend", store.url(), "--workers", "3"))
        each = clients // CROWDS
        crowds = [await Crowd.start(node.url, each, number * each, groups) for number in range(CROWDS)]
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
        await asyncio.gather(*(crowd.end(positions) for crowd in crowds))
        await asyncio.gather(*(each.client.close_realtime() for each in posters))
    for back in (back for crowd in crowds for back in crowd.back):
        times += [at - max(died for died in deaths if died < at) for at in back[1:]]
    found = verdict([*posters, *(each for crowd in crowds for each in crowd.histories)], posts)
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
    """Wait until all have heard as many messages as were acknowledged, and return how far that is, by group."""
    await until(lambda: all(len(each.heard) >= len(posts.done[each.group]) for each in listeners))
    return {each.group: each.client.position for each in listeners if each.client.position is not None}


async def stopped(shared: bool, seconds: float = 60.0, clients: int = 100) -> None:
    """A process with clients is stopped for longer than a node waits for a sign of life; again and again."""
    with ExitStack() as running:
        options = (*LIMITS, "--ping-interval", "0.5")
        if shared:
            options += ("--backend", running.enter_context(Store()).url())
        nodes = [running.enter_context(ServerProcess(*options)) for _ in range(2 if shared else 1)]
        listeners = [
            Listener(nodes[number % len(nodes)].url, f"here{number}", f"g{number % 5}") for number in range(25)
        ]
        await begin(listeners)
        crowd = await Crowd.start(nodes[0].url, clients, 0, 5)
        posts, begun = Posts(listeners), time.monotonic()
        posting = asyncio.create_task(posts.run(100, begun + seconds))
        while time.monotonic() < begun + seconds - 3:
            crowd.signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            crowd.signal(signal.SIGCONT)
            await asyncio.sleep(1.0)
        await posting
        await crowd.end(await all_heard(listeners, posts))
        await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    returns = sum(len(back) - 1 for back in crowd.back)
    report("stopped", returns, clients, verdict([*listeners, *crowd.histories], posts), failed=posts.failed)
