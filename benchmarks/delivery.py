"""Prove that nothing is lost silently: ``benchmarks/delivery.py SCENARIO [valkey]``, the name of a function below.

Servers are processes of their own, clients are the Python client, and what they heard is judged afterwards by
``tests/support/delivery_check.py``, which asks no server. A run in which no fault took place fails.
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from unittest import mock

import uvloop
from delivery_cost import cost
from delivery_judge import LIMITS, Listener, Posts, begin, level, report, until, verdict
from delivery_many import many, stopped
from delivery_rolling import rolling
from delivery_stores import stores

from support.faulty_proxy import FAULTS, FaultyProxy
from support.server_process import ServerProcess
from support.store import Store


# A client that is cut again and again backs off longer each time. So that there are connections to break, clients
# reconnect at once here, except where nodes are killed.
def soon(*_: object) -> float:
    """Return the seconds to wait before the next attempt."""
    return random.uniform(0, 0.1)


quick = mock.patch("hubbub.client.reconnecting.retry_delay", soon)


@contextmanager
def cluster(number: int, shared: bool) -> Iterator[list[ServerProcess]]:
    """Run so many nodes; on a store of their own if `shared`."""
    with ExitStack() as stack:
        options: tuple[str, ...] = (*LIMITS, "--max-connections", "20000")
        if shared:
            options += ("--backend", stack.enter_context(Store()).url())
        yield [stack.enter_context(ServerProcess(*options)) for _ in range(number)]


@asynccontextmanager
async def network(*targets: ServerProcess) -> AsyncIterator[list[FaultyProxy]]:
    """A way to each server that can fail."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(FaultyProxy("127.0.0.1", target.port)) for target in targets]


@quick
async def drops(shared: bool, seconds: float = 120.0) -> None:
    """100 clients in 5 groups receive 10,000 messages a second while about 50 connections a second fail."""
    with cluster(2 if shared else 1, shared) as nodes:
        async with network(*nodes) as ways:
            listeners = [
                Listener(ways[number % len(ways)].url, f"u{number}", f"g{number % 5}") for number in range(100)
            ]
            await begin(listeners)
            posts, begun = Posts(listeners), time.monotonic()
            posting, step = asyncio.create_task(posts.run(500, begun + seconds)), 0
            while (left := begun + seconds - 1 - time.monotonic()) > 0:
                if sum(sum(way.faults.values()) for way in ways) < 50 * (seconds - left):
                    step += 1
                    ways[step % len(ways)].strike(FAULTS[step // 2 % len(FAULTS)], 5)
                await asyncio.sleep(0.02)
                if step % 3 == 0:
                    for way in ways:
                        way.clear()
            for way in ways:
                way.clear()
            await posting
            await level(listeners)
            faults = sum((way.faults for way in ways), Counter())
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    more = {
        "kinds": dict(faults),
        "rate": round(sum(len(each.heard) for each in listeners) / seconds),
        "longest away": f"{max(away for each in listeners for away in each.absences):.2f} s",
        "failed": posts.failed,
    }
    report("drops", faults.total(), 5000 if seconds >= 120 else 1, verdict(listeners, posts), **more)


@quick
async def restarts(shared: bool, rounds: int = 20, clients: int = 1000) -> None:
    """A node without a store is killed and started again while clients post; every client has to get a gap event."""
    assert not shared
    told = wrong = 0
    with ExitStack() as running:
        node = running.enter_context(ServerProcess(*LIMITS))
        async with network(node) as (way,):
            listeners = [Listener(way.url, f"u{number}", f"g{number % 10}") for number in range(clients)]
            await begin(listeners)
            posts = Posts(listeners)
            for number in range(1, rounds + 1):
                busy = asyncio.create_task(posts.run(100, time.monotonic() + 2))
                await asyncio.sleep(0.5)
                node.signal(signal.SIGKILL)
                node.wait()
                node = running.enter_context(ServerProcess(*LIMITS))
                way.target = ("127.0.0.1", node.port)
                await busy
                await until(lambda number=number: all(len(each.back) > number for each in listeners))  # type: ignore[misc]
                told += sum(each.restarts == number for each in listeners)
                wrong += sum(each.restarts < number for each in listeners)
            await level(listeners)
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    found = verdict(listeners, posts)
    del found["unheard"]  # the history of a killed node is reported as a gap
    report("restarts", rounds, rounds, found + Counter(silent=wrong), told=told, of=rounds * clients)


@quick
async def keys(shared: bool, rounds: int = 100, batch: int = 50) -> None:
    """Replies are cut on the way: posts are sent again, every second time to another node."""
    sent = 0
    results: list[int] = []
    with cluster(2 if shared else 1, shared) as nodes:
        async with network(nodes[0]) as (way,):
            poster, listener = Listener(way.url, "poster", "g"), Listener(nodes[-1].url, "listener", "g")
            await begin([poster, listener])
            for number in range(rounds):
                way.target = ("127.0.0.1", nodes[number // 2 % len(nodes)].port)
                way.strike("unanswered")
                calls = [
                    asyncio.create_task(poster.client.post_realtime(number * batch + each, {"group": "g"}))
                    for each in range(batch)
                ]
                await until(lambda number=number: len(listener.heard) >= (number + 1) * batch)  # type: ignore[misc]
                sent += sum(not call.done() for call in calls)  # done by the server, but the client has no reply
                way.clear()
                results += [(await call).recipients for call in calls]
            await level([poster, listener])
            for each in (poster, listener):
                await each.client.close_realtime()
    contents = Counter(content for _, _, content in listener.heard)
    found = Counter(
        lost=len(set(range(rounds * batch)) - set(contents)), doubled=sum(contents.values()) - len(contents)
    )
    found["differing"] = sum(poster.heard[number] != each for number, each in enumerate(listener.heard))
    report("keys", sent, rounds * batch * 9 // 10, found, acknowledged=len(results))


async def kills(shared: bool, rounds: int = 20, clients: int = 300) -> None:
    """One of three nodes is killed; its clients reconnect to the others."""
    times: list[float] = []
    with ExitStack() as running, Store() as store:
        options = (*LIMITS, "--backend", store.url())
        nodes = [running.enter_context(ServerProcess(*options)) for _ in range(3)]
        async with network(*nodes) as ways:
            listeners = [Listener(ways[number % 3].url, f"u{number}", f"g{number % 10}") for number in range(clients)]
            await begin(listeners)
            posts = Posts(listeners)
            for number in range(rounds):
                victim = number % 3
                busy = asyncio.create_task(posts.run(100, time.monotonic() + 3))
                await asyncio.sleep(0.5)
                before = {each: len(each.back) for each in listeners[victim::3]}
                nodes[victim].signal(signal.SIGKILL)
                died = time.monotonic()
                nodes[victim].wait()
                ways[victim].target = ("127.0.0.1", nodes[(victim + 1) % 3].port)
                await busy
                await until(lambda before=before: all(len(each.back) > many for each, many in before.items()))  # type: ignore[misc]
                times += [each.back[many] - died for each, many in before.items()]
                nodes[victim] = running.enter_context(ServerProcess(*options))
                ways[victim].strike("rst")  # so that its clients return to it
                ways[victim].target = ("127.0.0.1", nodes[victim].port)
                await until(lambda: all(each.client.state == "connected" for each in listeners))
            await level(listeners)
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    p99 = statistics.quantiles(times, n=100)[98]
    report(
        "kills", rounds, rounds, verdict(listeners, posts), resumed=len(times), p99=f"{p99:.2f} s", failed=posts.failed
    )


SCENARIOS: dict[str, Callable[[bool], Awaitable[None]]] = {
    "drops": drops,
    "restarts": restarts,
    "keys": keys,
    "kills": kills,
    "rolling": rolling,
    "many": many,
    "stopped": stopped,
    "stores": stores,
    "cost": cost,
}

if __name__ == "__main__":
    uvloop.run(SCENARIOS[sys.argv[1]]("valkey" in sys.argv[2:]))  # type: ignore[arg-type]
