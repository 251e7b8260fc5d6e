"""A real cluster for the tests: three primaries, and a replica of the first."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from support.store import Store, free_port

SLOTS = 16384


class ClusterStore:
    """Four server processes that form a cluster. Use it as a context manager, then call `form`.

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
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(self._timeout))
            bus = ("--cluster-port", str(self.buses[-1]), "--repl-diskless-sync-delay", "0")
            self.servers.append(self._stack.enter_context(Store(*options, *bus)))
        return self

    async def form(self) -> None:
        """Form a cluster of the servers."""
        first, _, _, replica = self.servers
        for n, server in enumerate(self.servers[:3]):
            await server.run("CLUSTER", "ADDSLOTSRANGE", n * SLOTS // 3, (n + 1) * SLOTS // 3 - 1)
            await server.run("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for server, bus_port in zip(self.servers[1:], self.buses[1:], strict=True):
            await first.run("CLUSTER", "MEET", "127.0.0.1", server.port, bus_port)
        primary = await first.run("CLUSTER", "MYID")
        assert isinstance(primary, bytes)
        await until(replica, b"cluster_known_nodes:4", "CLUSTER", "INFO")
        await replica.run("CLUSTER", "REPLICATE", primary)
        for server in self.servers:
            await until(server, b"cluster_state:ok", "CLUSTER", "INFO")
            await until(server, b"cluster_known_nodes:4", "CLUSTER", "INFO")
        await until(replica, b"master_link_status:up", "INFO", "replication")

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


async def until(server: Store, text: bytes, *command: str) -> None:
    """Ask `server` until its answer holds `text`."""
    while text not in await server.run(*command):  # type: ignore[operator]
        await asyncio.sleep(0.02)
