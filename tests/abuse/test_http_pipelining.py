"""HTTP clients that send thousands of requests at once, or never read: bounded, cut, and forgotten."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from helpers import PATIENCE, Raw
from hubbub.server import Server
from hubbub.transports import http_protocol, unread_answers
from hubbub.transports.http_protocol import HttpProtocol

Open = Callable[..., Awaitable[Raw]]
Start = Callable[..., Awaitable[Server]]

TINY = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def cycles() -> int:
    return sum(isinstance(found, RequestResponseCycle) for found in gc.get_objects())


def connections(server: Server) -> list[HttpProtocol]:
    found = server._uvicorn.server_state.connections
    return [connection for connection in found if isinstance(connection, HttpProtocol)]


async def send_and_close(server: Server, data: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(data)
    await asyncio.sleep(0)
    writer.transport.abort()


async def test_few_requests_of_one_connection_are_pending_at_a_time(server: Server, raw: Open) -> None:
    connection = await raw(server)
    await connection.send(TINY * 5_000)
    most = 0
    for _ in range(5_000):
        assert (await connection.answer())[0] == 200
        most = max(most, cycles())
    assert most <= 4


async def test_nothing_stays_behind_when_pipelining_clients_go(server: Server) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await send_and_close(server, TINY * 2_000)
        await until(lambda: not connections(server))
        await until(lambda: not server._uvicorn.server_state.tasks)
        assert cycles() <= 1  # the last one may be in the hands of the loop
    finally:
        gc.enable()


async def test_bodies_full_of_ends_of_heads_are_taken(server: Server, raw: Open) -> None:
    connection = await raw(server)
    body = b"\r\n\r\n" * 10_000
    request = b"POST /v1/groups/g/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    await connection.send(request + body + TINY)
    assert (await connection.answer())[0] == 401
    assert (await connection.answer())[0] == 200


async def test_all_connections_together_hold_no_more_than_they_may(server: Server, raw: Open) -> None:
    memory = connections_memory(server)
    memory._most = 100_000
    waiting = [await raw(server) for _ in range(4)]
    head = b"POST /v1/groups/g/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"
    for connection in waiting:  # nobody reads these bodies: the requests are refused before
        await connection.send(head + b"x" * 50_000)
    for connection in waiting:
        assert (await connection.answer())[0] in {401, 503}
    assert memory.bytes <= 100_000
    for connection in waiting:
        await connection.close()
    await until(lambda: memory.bytes == 0)


def connections_memory(server: Server) -> http_protocol.HttpMemory:
    return server._uvicorn.config.http_protocol_class.args[1]  # type: ignore[union-attr,no-any-return]


@pytest.fixture
async def mutes(server: Server) -> AsyncIterator[list[socket.socket]]:
    """Clients that ask for far more than the system can buffer, and read nothing."""
    with ExitStack() as stack:
        found = []
        for _ in range(10):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", int(server.url.rpartition(":")[2])))
            await loop.sock_sendall(client, b"GET /hubbub.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
            found.append(client)
        yield found


async def test_clients_that_never_read_are_cut(
    server: Server, mutes: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.transports.backlog.STALLED_AFTER", 0.3)
    monkeypatch.setattr(unread_answers, "LOOK", 0.05)
    await until(lambda: any(connection._unread for connection in connections(server)))
    await until(lambda: not connections(server))


async def test_cut_connections_leave_no_line_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(30):
        await send_and_close(server, b"GET /v1/groups HTTP/1.1\r\nHost: localhost\r\n\r\n" * (1 + number))
    await until(lambda: not connections(server))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
