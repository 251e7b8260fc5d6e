"""Finds the primary among the servers that the address names."""

from __future__ import annotations

import asyncio

from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.connection import Receive, RefusedError, StoreConnection, open_connection, reason_of
from hubbub.backends.valkey.silence import time_limit
from hubbub.errors import CommandError


async def open_primary(address: Address, receive: Receive) -> StoreConnection:
    """Return a connection to the first server of `address` that says it is a primary. See `open_first`."""
    return await open_first(address, receive, primary=True)


async def open_first(address: Address, receive: Receive, *, primary: bool) -> StoreConnection:
    """Connect to all servers of `address` at the same time and return the connection that is ready first.

    All at once, because a server that is frozen or unreachable must not delay the connection to the new primary.

    Args:
        address: The servers.
        receive: See `StoreConnection`.
        primary: Accept primaries only.

    Raises:
        OSError: No server answers in time, or none is a primary; the text says which and why.
    """

    async def attempt(host: str, port: int) -> StoreConnection:
        server = address.at(host, port)
        connection = await open_connection(server, receive)
        if primary and not connection.primary:
            connection.abort("it is a replica")
            raise OSError(f"{server} is a replica")
        return connection

    tasks = [asyncio.create_task(attempt(*server)) for server in address.servers()]
    chosen: StoreConnection | None = None
    failures: list[str] = []
    try:
        async with time_limit():
            for done in asyncio.as_completed(tasks):
                try:
                    chosen = await done
                    return chosen
                except (OSError, RefusedError, CommandError) as error:
                    failures.append(reason_of(error))
    except TimeoutError:
        failures.append("no answer in time")
    finally:
        await _discard(tasks, chosen)
    raise OSError(f"{address}: {'; '.join(failures)}")


async def _discard(tasks: list[asyncio.Task[StoreConnection]], chosen: StoreConnection | None) -> None:
    """Cancel the attempts that are not needed any more."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, StoreConnection) and outcome is not chosen:
            outcome.abort("another was faster")
