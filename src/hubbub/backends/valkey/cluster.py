"""A cluster: which primary has which slot now, and one connection to each that is needed."""

from __future__ import annotations

import asyncio
from typing import Any

from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.connection import StoreConnection, open_connection
from hubbub.backends.valkey.discovery import PATIENCE, Hear, open_first

SHARDS = 16
"""Shards in a cluster, so also the most primaries among which the load is spread. Fixed: it decides where keys lie."""

Server = tuple[str, int]
Ranges = list[tuple[int, int, Server]]


class Cluster:
    """The connections to a cluster. A shard asks for its own with `open`, and again when it is lost or was refused.

    Each time the servers are asked anew who has the slot, so a failover or a move of slots needs no treatment of its
    own. While a shard's slot is on its way from one server to another (``ASK``), the shard is away.

    Args:
        address: Some servers of the cluster; the others are learned from them.
        hear: See `StoreConnection`.
    """

    def __init__(self, address: Address, hear: Hear) -> None:
        self._address = address
        self._hear = hear
        self._servers = set(address.servers())
        self._connections: dict[Server, asyncio.Task[StoreConnection]] = {}
        self._looking: asyncio.Task[Ranges] | None = None

    async def open(self, slot: int) -> StoreConnection:
        """Return the connection to the primary that has `slot`; all its shards share it.

        Raises:
            OSError: No server answers in time, none has the slot, or the one that has it cannot be reached.
            RefusedError, CommandError: As `open_connection`.
        """
        for low, high, server in await self._look():
            if low <= slot <= high:
                return await self._connect(server)
        raise OSError(f"no server of the cluster has slot {slot}")

    async def close(self) -> None:
        """Cut all connections, those that are being opened as well."""
        tasks: list[asyncio.Task[Any]] = [*self._connections.values()]
        if self._looking is not None:
            tasks.append(self._looking)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, StoreConnection):
                outcome.abort("it is not used any more")

    async def _look(self) -> Ranges:
        """Return who has which slots; those who ask at the same time share the answer."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._looking)

    async def _ask(self) -> Ranges:
        (host, port), *others = sorted(self._servers)
        asked = await open_first(
            self._address._replace(host=host, port=port, others=tuple(others)), _ignore, primary=False
        )
        try:
            async with asyncio.timeout(PATIENCE):
                slots = await asked.call(b"CLUSTER", b"SLOTS")
        finally:
            asked.abort("it has answered")
        known = [(low, high, [_server(each, asked.host) for each in servers]) for low, high, *servers in slots]
        self._servers = {*self._address.servers(), *(each for _, _, servers in known for each in servers)}
        return [(low, high, servers[0]) for low, high, servers in known]

    async def _connect(self, server: Server) -> StoreConnection:
        task = self._connections.get(server)
        if task is None or (task.done() and not _is_open(task)):
            task = self._connections[server] = asyncio.create_task(self._open(server))
        return await asyncio.shield(task)

    async def _open(self, server: Server) -> StoreConnection:
        async with asyncio.timeout(PATIENCE):
            connection = await open_connection(self._address.at(*server), self._hear)
        if not connection.primary:
            connection.abort("it is a replica")
            raise OSError(f"{server[0]}:{server[1]} is a replica")
        return connection


def _server(entry: list[Any], asked: str) -> Server:
    """Return host and port as ``CLUSTER SLOTS`` has them; an empty host is the one that was asked."""
    host, port, *_ = entry
    return (host or b"").decode() or asked, port


def _is_open(task: asyncio.Task[StoreConnection]) -> bool:
    """Return whether what has been opened still is."""
    return not task.cancelled() and task.exception() is None and not task.result().lost.done()


def _ignore(channel: bytes, payload: bytes) -> None:
    """Hear nothing: a connection that only asks has no subscriptions."""
