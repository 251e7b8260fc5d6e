"""Faults of a real store, for the tests and, longer and more often, for a benchmark."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from hubbub.backends.valkey.schema import node_channel
from support.store import Store
from support.store_model import World


class Stage(NamedTuple):
    """Three nodes on a primary, perhaps with a replica."""

    world: World
    primary: Store
    replica: Store | None = None

    def opened(self) -> list[int]:
        """Return how many connections each node has opened so far."""
        return [node._shards[0].link.opened for node in self.world.nodes]

    async def down(self) -> None:
        """Wait until every node has noticed the fault."""
        while any(node.ready for node in self.world.nodes):
            await asyncio.sleep(0.01)

    async def ready(self) -> None:
        """Wait until every node serves again."""
        while not all(node.ready for node in self.world.nodes):
            await asyncio.sleep(0.01)


Fault = Callable[[Stage, float], Awaitable[None]]
"""Injects a fault, for so many seconds at most, and returns when the store itself works again."""


async def restart(stage: Stage, seconds: float) -> None:
    """SIGTERM and start, as a package upgrade does."""
    stage.primary.signal(signal.SIGTERM)
    stage.primary.wait()
    await stage.down()
    stage.primary.start()


async def kill(stage: Stage, seconds: float) -> None:
    """Kill -9 and start: the store has what it had saved, or is empty."""
    stage.primary.kill()
    await stage.down()
    stage.primary.start()


async def freeze(stage: Stage, seconds: float) -> None:
    """SIGSTOP and SIGCONT."""
    stage.primary.signal(signal.SIGSTOP)
    await asyncio.gather(stage.down(), asyncio.sleep(seconds))
    stage.primary.signal(signal.SIGCONT)


async def cut_subscriptions(stage: Stage, seconds: float) -> None:
    """Close all connections that have subscriptions."""
    before = stage.opened()
    await stage.primary.run("CLIENT", "KILL", "TYPE", "pubsub")
    while stage.opened() == before:
        await asyncio.sleep(0.01)


async def overflow(stage: Stage, seconds: float) -> None:
    """Let a node stop reading until the store closes its connection, because its output buffer is full."""
    await stage.primary.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
    node = stage.world.nodes[0]
    connection = node._shards[0].link._connection
    assert connection is not None
    channel = node_channel(node._shards[0].prefix, node._shards[0].node)
    connection._transport.pause_reading()
    cut = 0
    while not cut:
        for _ in range(50):
            await stage.primary.run("SPUBLISH", channel, b"?" * 1_000_000)
        stats = await stage.primary.run("INFO", "stats")
        assert isinstance(stats, bytes)
        cut = int(stats.partition(b"client_output_buffer_limit_disconnections:")[2].split()[0])
    while not connection.lost.done():
        await asyncio.sleep(0.01)


async def fail_over(stage: Stage, seconds: float) -> None:
    """Kill the primary, and promote the replica as an operator would."""
    assert stage.replica is not None
    await stage.primary.run("WAIT", 1, 1000)
    stage.primary.kill()
    await stage.down()
    await stage.replica.run("REPLICAOF", "NO", "ONE")


async def switch_over(stage: Stage, seconds: float) -> None:
    """Let primary and replica swap their roles."""
    assert stage.replica is not None
    before = stage.opened()
    await stage.primary.run("FAILOVER", "TO", "127.0.0.1", stage.replica.port)
    while stage.opened() == before:
        await asyncio.sleep(0.01)


@asynccontextmanager
async def staged(*options: str, replica: bool = False, seed: int = 1) -> AsyncIterator[Stage]:
    """Start a store, a replica of it if asked, and three nodes with some members."""
    with Store(*options) as primary:
        if not replica:
            yield await _stage(World(primary, seed), primary, None)
            return
        with Store("--replicaof", "127.0.0.1", str(primary.port)) as second:
            while b"master_link_status:up" not in await second.run("INFO", "replication"):  # type: ignore[operator]
                await asyncio.sleep(0.05)
            url = f"valkey://127.0.0.1:{second.port},127.0.0.1:{primary.port}"
            yield await _stage(World(primary, seed, url), primary, second)


async def _stage(world: World, primary: Store, replica: Store | None) -> Stage:
    for _ in range(3):
        await world.node()
    for _ in range(300):
        await world.step()
    return Stage(world, primary, replica)
