"""A real cluster for the tests: three primaries, and a replica of the first."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from support.store import Store, free_port

SLOTS = 16384

FORMING = 2000
"""Milliseconds of silence after which the servers take one of them for dead while they form a cluster. New servers wait
for as long before they take part, but for two seconds at least."""


class ClusterStore:
    """Four server processes that form a cluster. Use it as a context manager, then call `form`.

    Args:
        timeout: Milliseconds of silence after which a server counts as dead, and its replica takes over.

    Attributes:
        servers: The three primaries, then the replica of the first.
    """

    def __init__(self, timeout: int = 1000) -> None:
        self._stack = ExitStack()
        self._timeout = timeout
        self.servers: list[Store] = []
        self.buses: list[int] = []

    def __enter__(self) -> Self:
        for _ in range(4):
            self.buses.append(free_port())
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(FORMING))
            bus = ("--cluster-port", str(self.buses[-1]), "--repl-diskless-sync-delay", "0")
            self.servers.append(self._stack.enter_context(Store(*options, *bus)))
        return self

    async def form(self) -> None:
        """Form a cluster of the servers."""
        first, _, _, replica = self.servers
        for n, server in enumerate(self.servers[:3]):
            await server.run("CLUSTER", "ADDSLOTSRANGE", n * SLOTS // 3, (n + 1) * SLOTS // 3 - 1)
            await server.run("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        ids = [str(await server.run("CLUSTER", "MYID"), "ascii") for server in self.servers]  # type: ignore[call-overload]
        while not all([await known(server) == set(ids) for server in self.servers]):
            met = await known(first)
            for each, server, bus_port in zip(ids, self.servers, self.buses, strict=True):
                if each not in met:  # again and again, because a server that is too slow to answer is forgotten
                    await first.run("CLUSTER", "MEET", "127.0.0.1", server.port, bus_port)
            await asyncio.sleep(0.05)
        await replica.run("CLUSTER", "REPLICATE", ids[0])
        await until(replica, b"master_link_status:up", "INFO", "replication")
        for server in self.servers:
            await until(server, b"cluster_state:ok", "CLUSTER", "INFO")
            await server.run("CONFIG", "SET", "cluster-node-timeout", self._timeout)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def url(self) -> str:
        """The setting `backend`; it names two of the servers."""
        return f"valkey://127.0.0.1:{self.servers[3].port},127.0.0.1:{self.servers[1].port}"

    async def flush(self) -> None:
        """Empty all primaries."""
        for server in self.servers[:3]:
            await server.run("FLUSHALL")

    async def move(self, slot: int, old: Store, new: Store) -> None:
        """Move a slot with its keys from one primary to another, as an operator does."""
        ids: list[Any] = [await server.run("CLUSTER", "MYID") for server in (old, new)]
        await new.run("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        await old.run("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        while keys := await old.run("CLUSTER", "GETKEYSINSLOT", slot, 10):
            await old.run("MIGRATE", "127.0.0.1", new.port, "", 0, 1000, "KEYS", *keys)  # type: ignore[misc]
        for server in (new, old):
            await server.run("CLUSTER", "SETSLOT", slot, "NODE", ids[1])


async def known(server: Store) -> set[str]:
    """Return the servers that `server` knows. While it meets one, it does not know its name."""
    nodes = str(await server.run("CLUSTER", "NODES"), "ascii")  # type: ignore[call-overload]
    lines = [line.split() for line in nodes.splitlines()]
    return {line[0] for line in lines if "handshake" not in line[2]}


async def until(server: Store, text: bytes, *command: str) -> None:
    """Ask `server` until its answer holds `text`."""
    while text not in await server.run(*command):  # type: ignore[operator]
        await asyncio.sleep(0.02)
