"""Failures of the store and of the way to it, for `delivery`; all of them are real."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from contextlib import ExitStack, suppress
from typing import cast

from delivery_judge import LIMITS, Listener, Posts, begin, level, report, verdict

import hubbub
from support.faulty_proxy import FaultyProxy
from support.server_process import ServerProcess
from support.store import Store


async def stores(shared: bool, rounds: int = 4) -> None:
    """Every failure of the store and of the way to it, while clients of two nodes post."""
    times: Counter[str] = Counter()
    worst: dict[str, float] = {}
    with Store() as store, ExitStack() as running:
        async with FaultyProxy("127.0.0.1", store.port) as link:
            options = (*LIMITS, "--backend")
            ways = [store.url(), store.url().replace(str(store.port), link.url.rpartition(":")[2])]
            # In threads: the proxy in front of the store runs in this program's loop.
            nodes = [running.enter_context(await asyncio.to_thread(ServerProcess, *options, way)) for way in ways]
            listeners = [Listener(nodes[number % 2].url, f"u{number}", f"g{number % 5}") for number in range(40)]
            await begin(listeners)
            posts = Posts(listeners)
            for _ in range(rounds):
                for what, strike in STORE_FAULTS.items():
                    busy = asyncio.create_task(posts.run(100, time.monotonic() + 2.5))
                    await asyncio.sleep(0.3)
                    times[what] += await strike(store, link)
                    healed = time.monotonic()
                    await asyncio.gather(*(answered(each) for each in listeners[:2]))
                    worst[what] = max(worst.get(what, 0.0), round(time.monotonic() - healed, 2))
                    await busy
            await asyncio.gather(*(answered(each) for each in listeners[:2]))
            await level(listeners)
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    found = verdict(listeners, posts)
    del found["unheard"]  # what the store has lost is reported as a gap
    restarted = sum(each.restarts for each in listeners)
    report("stores", times.total(), rounds, found, kinds=dict(times), repaired=worst, restarted=restarted)
    assert min(times.values()) >= rounds, "a fault did not take place"


async def answered(listener: Listener) -> None:
    """Wait until the node of a listener posts again."""
    async with asyncio.timeout(30):
        while True:
            with suppress(hubbub.CommandError):
                await listener.client.get_realtime_groups()
                return
            await asyncio.sleep(0.01)


async def empty(store: Store, _link: FaultyProxy) -> int:
    """Kill the store, and start it empty."""
    store.kill()
    await store_lost(store, keep=False)
    return 1


async def tail(store: Store, _link: FaultyProxy) -> int:
    """Restart it without its last messages, as after a failover to a replica that lags."""
    await store.run("SAVE")
    await asyncio.sleep(0.3)
    store.kill()
    await store_lost(store, keep=True)
    return 1


async def store_lost(store: Store, *, keep: bool) -> None:
    """Start the store again after a while, with the file that it saved or without."""
    if not keep:
        store.forget()
    await asyncio.sleep(0.2)
    store.start()


async def frozen(store: Store, _link: FaultyProxy) -> int:
    """Stop it for longer than the nodes wait."""
    store.signal(signal.SIGSTOP)
    await asyncio.sleep(2.0)
    store.signal(signal.SIGCONT)
    return 1


async def killed(store: Store, _link: FaultyProxy) -> int:
    """Let the store cut the connections that listen; return how many there were."""
    return cast(int, await store.run("CLIENT", "KILL", "TYPE", "pubsub"))


async def overflow(store: Store, _link: FaultyProxy) -> int:
    """Let the store cut slow subscribers: its output buffer limit is one byte for a moment."""
    before = await connections(store)
    await store.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1 0 0")
    await asyncio.sleep(0.3)
    await store.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")
    return await connections(store) - before


async def connections(store: Store) -> int:
    """Return how many connections the store has had."""
    info = cast(bytes, await store.run("INFO", "stats"))
    return int(info.partition(b"client_output_buffer_limit_disconnections:")[2].split()[0])


async def link_down(_store: Store, link: FaultyProxy) -> int:
    """Cut one node off the store, for longer than it waits."""
    before = link.faults["blackhole"]
    link.strike("blackhole")
    await asyncio.sleep(1.5)
    link.clear()
    return link.faults["blackhole"] - before


STORE_FAULTS = {
    "came back empty": empty,
    "lost its tail": tail,
    "frozen": frozen,
    "CLIENT KILL TYPE pubsub": killed,
    "output buffer overflow": overflow,
    "link of one node down": link_down,
}
