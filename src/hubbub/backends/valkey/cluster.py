"""A cluster: which primary holds which slot now, and one connection to each primary that is needed."""

from __future__ import annotations

import asyncio
from typing import Any

from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.connection import Receive, StoreConnection, open_connection
from hubbub.backends.valkey.discovery import open_first
from hubbub.backends.valkey.silence import time_limit

SHARDS = 16
"""Shards in a cluster, and so the most primaries that share the load. Fixed, because it decides where keys are."""

Server = tuple[str, int]
Ranges = list[tuple[int, int, Server]]


class Cluster:
    """The connections to a cluster. A shard gets its connection from `open`, and a new one after an error.

    Each time the cluster is asked again which server holds the slot, so failovers and moved slots need no special
    treatment. While the slot of a shard moves from one server to another (``ASK``), the shard is unavailable.

    Args:
        address: Some servers of the cluster; they tell the others.
        receive: See `StoreConnection`.
    """

    def __init__(self, address: Address, receive: Receive) -> None:
        self._address = address
        self._receive = receive
        self._servers = set(address.servers())
        self._connections: dict[Server, asyncio.Task[StoreConnection]] = {}
        self._asking: asyncio.Task[Ranges] | None = None

    async def open(self, slot: int) -> StoreConnection:
        """Return the connection to the primary that holds `slot`; all shards on it share this connection.

        Raises:
            OSError: No server answers in time, no server holds the slot, or the one that does cannot be reached.
            RefusedError, CommandError: As `open_connection`.
        """
        for low, high, server in await self._slot_ranges():
            if low <= slot <= high:
                return await self._connect(server)
        raise OSError(f"no server of the cluster holds slot {slot}")

    async def close(self) -> None:
        """Close all connections, and those that are being opened."""
        tasks: list[asyncio.Task[Any]] = [*self._connections.values()]
        if self._asking is not None:
            tasks.append(self._asking)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, StoreConnection):
                outcome.abort("it is not used any more")

    async def _slot_ranges(self) -> Ranges:
        """Return which server holds which slots; calls at the same time share one answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Ranges:
        (host, port), *others = sorted(self._servers)
        asked = await open_first(
            self._address._replace(host=host, port=port, others=tuple(others)), _ignore, primary=False
        )
        try:
            async with time_limit():
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
        async with time_limit():
            connection = await open_connection(self._address.at(*server), self._receive)
        if not connection.primary:
            connection.abort("it is a replica")
            raise OSError(f"{server[0]}:{server[1]} is a replica")
        return connection


def _server(entry: list[Any], asked: str) -> Server:
    """Return host and port from an entry of ``CLUSTER SLOTS``; an empty host means the server that was asked."""
    host, port, *_ = entry
    return (host or b"").decode() or asked, port


def _is_open(task: asyncio.Task[StoreConnection]) -> bool:
    """Return whether the connection that the task has opened is still open."""
    return not task.cancelled() and task.exception() is None and not task.result().lost.done()


def _ignore(channel: bytes, payload: bytes | None) -> None:
    """Ignore messages: a connection that only asks has no subscriptions."""
