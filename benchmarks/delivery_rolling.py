"""A rolling restart under load, for `delivery`: SIGTERM to one node after the other; no member is said to leave."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from contextlib import AsyncExitStack, ExitStack

from delivery_judge import Listener, Posts, begin, level, report, until, verdict

from support.faulty_proxy import FaultyProxy
from support.server_process import ServerProcess
from support.store import Store

SECRET = "0123456789abcdef0123456789abcdef"
LIMIT = 3.0
"""A client that is back within this many seconds is not announced as having left."""


async def rolling(shared: bool, rounds: int = 10, clients: int = 300) -> None:
    """Each of three nodes is stopped and started again, in turn, while all clients post."""
    restarts = 0
    with ExitStack() as running, Store() as store:
        options = ("--rate-limit", "0", "--log-level", "error", "--secret", SECRET, "--backend", store.url())
        nodes = [running.enter_context(ServerProcess(*options)) for _ in range(3)]
        async with AsyncExitStack() as network:
            ways = [await network.enter_async_context(FaultyProxy("127.0.0.1", node.port)) for node in nodes]
            listeners = [
                Listener(ways[number % 3].url, f"u{number}", f"g{number % 10}", SECRET) for number in range(clients)
            ]
            await begin(listeners)
            posts = Posts(listeners)
            for number in range(3 * rounds):
                stopped = number % 3
                away = [each for each, way in enumerate(ways) if way.target[1] == nodes[stopped].port]
                busy = asyncio.create_task(posts.run(100, time.monotonic() + 3))
                await asyncio.sleep(0.3)
                for each in away:  # as a load balancer does that watches /readyz
                    ways[each].target = ("127.0.0.1", nodes[(number + 1 + each % 2) % 3].port)
                nodes[stopped].signal(signal.SIGTERM)
                assert await asyncio.to_thread(nodes[stopped].wait) == 0
                nodes[stopped] = running.enter_context(await asyncio.to_thread(ServerProcess, *options))
                ways[stopped].target = ("127.0.0.1", nodes[stopped].port)
                await busy
                await until(lambda: all(each.client.state == "connected" for each in listeners))
                restarts += 1
            await level(listeners)
            returns = sum(len(each.back) - 1 for each in listeners)
            absences = sorted(away for each in listeners for away in each.absences)
            leaves = sum(len(each.notices) for each in listeners)
            asked = sum(each.asked for each in listeners)
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    found = verdict(listeners, posts)
    report(
        "rolling", restarts, 3 * rounds, found, returns=returns, leaves=leaves, failed=posts.failed,
        away_p99=f"{statistics.quantiles(absences, n=100)[98]:.2f} s", away_longest=f"{absences[-1]:.2f} s",
        tokens_fetched_again=asked - clients,
    )  # fmt: skip
    assert leaves == 0 or absences[-1] > LIMIT, "a leave notice was sent for a client that was back in time"
    assert returns >= clients, "too few clients had to reconnect: nothing was proved"
