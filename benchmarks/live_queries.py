"""What live queries cost, and how soon a change has reached the last watcher.

    python benchmarks/live_queries.py lobby            1,000,000 groups, 2,000 joins/s, 10,000 watchers of one query
    python benchmarks/live_queries.py queries          the same with 1,000 different queries
    python benchmarks/live_queries.py change           a join and a leave without watchers, on one node
    python benchmarks/live_queries.py latency          a change until the last of 500 watchers has it, one node
    python benchmarks/live_queries.py latency valkey   the same, two nodes on a store
    python benchmarks/live_queries.py model [STEPS]    random steps against a naive oracle, one node
    python benchmarks/live_queries.py model valkey [STEPS]

`lobby` and `queries` print the share of a core that live queries take in a node whose writes do nothing: the CPU time
with watchers less that of the same joins without. To compare `change` with another version, run it with that version's
``src`` as PYTHONPATH, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.messages import UserRow
from hubbub.session import run_now
from hubbub.watching import views
from support.clients import Peer
from support.fake_link import FakeLink, make_node
from support.live_world import LiveWorld
from support.report import percentile
from support.server_process import ServerProcess
from support.store import Store

GROUPS = 1_000_000
JOINS = 2_000
SECONDS = 10.0
WATCHERS, CHANGES = 500, 100
TOP = {"what": "groups", "searchFor": "number_of_users", "value": 1, "condition": ">=", "limit": 50, "ascending": False}


def filled() -> MemoryBackend:
    """Return a backend whose directory has a million groups, most of them small."""
    backend = MemoryBackend()
    for number in range(GROUPS):
        users = 1 + (number * 7919) % 20
        backend._directory.put(f"room:{number:08}", users, users)
    return backend


class Churn:
    """Connections that join one group after the other, `JOINS` a second; half of all changes are in the top 50."""

    def __init__(self, backend: MemoryBackend) -> None:
        self.backend = backend
        self.rows = [UserRow(f"user{number}", f"c{number}") for number in range(4000)]
        self.made = 0
        for row in self.rows:
            run_now(backend.connect(row, 10))

    async def run(self, seconds: float) -> float:
        """Join for so long, at that rate; return the CPU time of the process, in seconds."""
        loop = asyncio.get_running_loop()
        began, cpu, done = loop.time(), time.process_time(), 0
        while (passed := loop.time() - began) < seconds:
            for _ in range(int(passed * JOINS) - done):
                self.made += 1
                top = self.made % 2
                group = f"top{self.made % 60}" if top else f"churn:{self.made % 100_000}"
                await self.backend.join(self.rows[self.made % len(self.rows)], group)
                done += 1
            await asyncio.sleep(0.005)
        return time.process_time() - cpu


async def watched(queries: list[dict[str, Any]], watchers: int) -> None:
    """Print what `watchers` connections cost that watch `queries` in turn."""
    backend = filled()
    churn = Churn(backend)
    node = make_node(backend, max_connections=1_000_000)
    await node.start()
    gc.collect()
    gc.freeze()
    await churn.run(3)
    alone = await churn.run(SECONDS)
    ends = []
    for number in range(watchers):
        end = FakeLink(f"w{number}", node)
        end.say(do="connect", guest=f"watcher{number}")
        end.say(id=1, do="watch", **queries[number % len(queries)])
        ends.append(end)
        if not number % 200:
            await asyncio.sleep(0)
    await asyncio.sleep(1)
    for end in ends:
        end.session.write = lambda data: None
    counters = node.counters
    before = counters.view_evaluations, counters.view_events, counters.view_seconds, counters.views_put_off
    spent = await churn.run(SECONDS)
    evaluations, events, seconds, put_off = (
        (each - old) / SECONDS
        for each, old in zip(
            (counters.view_evaluations, counters.view_events, counters.view_seconds, counters.views_put_off),
            before,
            strict=True,
        )
    )
    print(
        f"{len(node.views)} views, {watchers} watchers: {100 * (spent - alone) / SECONDS:.1f} % of a core "
        f"besides the joins ({100 * alone / SECONDS:.1f} %); {evaluations:.0f} evaluations/s: {100 * seconds:.1f} % "
        f"({1e6 * seconds / max(evaluations, 1):.0f} us each), {events:.0f} events/s, put off {put_off:.1f} times/s"
    )
    await node.close()


async def change() -> None:
    """Print the CPU time of a join and a leave on one node, without watchers."""
    backend = MemoryBackend()
    node = make_node(backend)
    await node.start()
    rows = [UserRow(f"user{number}", f"c{number}") for number in range(1000)]
    for row in rows:
        await backend.connect(row, 10)
    timings = []
    for _ in range(40):
        began = time.process_time()
        for number in range(5):
            for row in rows:
                run_now(backend.join(row, f"g{number}-{row.user_id}"))
            for row in rows:
                run_now(backend.leave(row))
        timings.append((time.process_time() - began) / 5000 * 1e6)
    print(f"a join and a leave: {statistics.median(timings):.3f} us, least {min(timings):.3f} us")
    await node.close()


class Late:
    """A watcher that notes when it has heard of each group."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.heard: dict[str, float] = {}
        self.task = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        while True:
            event = await self.peer.event()
            now = time.monotonic()
            for row in event.get("set", event.get("list", ())):
                self.heard.setdefault(row["group"], now)


async def latency(*, valkey: bool) -> None:
    """Print how long a change takes until the last watcher has it: from the command that makes it to the last event."""
    with ExitStack() as stack:
        store = stack.enter_context(Store()) if valkey else None
        flags = ["--guests"] + ([] if store is None else ["--backend", store.url()])
        servers = [stack.enter_context(ServerProcess(*flags)) for _ in range(2 if valkey else 1)]
        peers = [await guest(servers[number % len(servers)].url, f"w{number}") for number in range(WATCHERS)]
        for peer in peers:
            await peer.do("watch", what="groups", value="late-", condition=">=", limit=50, every=100)
        watchers = [Late(peer) for peer in peers]
        member = await guest(servers[0].url, "member")
        chance, timings = random.Random(1), []
        for number in range(CHANGES):
            await asyncio.sleep(chance.uniform(0.15, 0.4))
            group = f"late-{number:04}"
            began = time.monotonic()
            await member.do("join", group=group)
            while not all(group in watcher.heard for watcher in watchers):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            timings.append(max(watcher.heard[group] for watcher in watchers) - began)
        for watcher in watchers:
            watcher.task.cancel()
    where = "two nodes on Valkey" if valkey else "one node"
    print(
        f"{where}, {WATCHERS} watchers, {CHANGES} changes: until the last has it, median "
        f"{1000 * percentile(timings, 0.5):.0f} ms, p99 {1000 * percentile(timings, 0.99):.0f} ms, "
        f"most {1000 * max(timings):.0f} ms"
    )


async def guest(url: str, name: str) -> Peer:
    """Return a connected guest."""
    address = url.replace("http", "ws", 1) + "/v1/connect"
    peer = Peer(await connect(address, subprotocols=[Subprotocol("hubbub.v1")], compression=None, proxy=None))
    await peer.do("connect", guest=name)
    return peer


async def model(steps: int, *, valkey: bool) -> None:
    """Make random steps, compare every watcher with the oracle, and print how many events there were."""
    views.STEP = 0.002
    one = MemoryBackend()
    with Store() as store:
        make: Callable[[], Any] = (lambda: ValkeyBackend(parse_address(store.url()))) if valkey else (lambda: one)
        world = LiveWorld(make, 2 if valkey else 1, seed=int(time.time()))
        await world.start()
        began = time.monotonic()
        for number in range(1, steps + 1):
            await world.step()
            if number % 20 == 0:
                world.step_reader()
            if number % 200 == 0 or number == steps:
                await world.settle()
            elif not number % 10:
                await asyncio.sleep(0)
        print(f"{steps} steps, {world.events} events, 0 differences, {time.monotonic() - began:.0f} s")
        await world.stop()


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["lobby", "queries", "change", "latency", "model"])
    parser.add_argument("rest", nargs="*")
    given = parser.parse_args()
    valkey = "valkey" in given.rest
    if given.what == "lobby":
        work = watched([TOP], 10_000)
    elif given.what == "queries":
        work = watched([{**TOP, "value": number % 25, "limit": 11 + number // 25} for number in range(1000)], 1000)
    elif given.what == "change":
        work = change()
    elif given.what == "latency":
        work = latency(valkey=valkey)
    else:
        work = model(int(given.rest[-1]) if given.rest and given.rest[-1].isdigit() else 10_000, valkey=valkey)
    asyncio.run(work)


if __name__ == "__main__":
    main()
