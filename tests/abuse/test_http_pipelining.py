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

from hubbub.server import Server
from hubbub.transports.http import unread_answers
from hubbub.transports.http.held_bytes import HttpMemory
from hubbub.transports.http.protocol import HttpProtocol
from support.clients import Peer, Raw
from support.waiting import PATIENCE

Open = Callable[..., Awaitable[Raw]]
Start = Callable[..., Awaitable[Server]]

FILE = b"GET /hubbub.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
TINY = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def cycles() -> int:
    return alive(RequestResponseCycle)


def alive(kind: type) -> int:
    """Return how many objects there are, also those that only the garbage collector would find."""
    return sum(type(found) is kind for found in gc.get_objects())


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
    for number in range(5_000):
        assert (await connection.answer())[0] == 200
        if number % 100 == 0:
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
        assert alive(HttpProtocol) <= 1
    finally:
        gc.enable()


async def test_nothing_of_http_stays_behind_when_a_websocket_begins(
    server: Server, peers: Callable[..., Awaitable[Peer]]
) -> None:
    gc.collect()
    gc.disable()
    try:
        for number in range(5):
            await peers(server, guest=f"g{number}", group="g")
        assert alive(HttpProtocol) <= 1
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
    memory.most = 100_000
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


async def test_heads_full_of_headers_count_as_what_they_take(server: Server, raw: Open) -> None:
    memory = connections_memory(server)
    memory.most = 2_500_000
    unfinished = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a:b\r\n" * 6_000  # 30 kB, and 1 MB as objects
    waiting = [await raw(server) for _ in range(2)]
    for number, connection in enumerate(waiting):
        await connection.send(unfinished)
        await until(lambda number=number: memory.bytes > 900_000 * (number + 1))  # type: ignore[misc]
    for _ in range(3):
        refused = await raw(server)
        await refused.send(unfinished)
        assert (await refused.answer())[0] == 503
        await refused.close()
    assert memory.bytes <= 2_500_000
    ordinary = await raw(server)
    await ordinary.send(TINY)
    assert (await ordinary.answer())[0] == 200
    for connection in (*waiting, ordinary):
        await connection.close()
    await until(lambda: memory.bytes == 0)


def connections_memory(server: Server) -> HttpMemory:
    return server._uvicorn.config.http_protocol_class.args[1]  # type: ignore[union-attr,no-any-return]


async def ask(server: Server, data: bytes) -> socket.socket:
    """Send `data`, with room for next to nothing to come back."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", int(server.url.rpartition(":")[2])))
    await loop.sock_sendall(client, data)
    return client


@pytest.fixture
async def mutes(server: Server) -> AsyncIterator[list[socket.socket]]:
    """Clients that ask for far more than the system can buffer, and read nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(await ask(server, FILE * 400)) for _ in range(10)]


async def test_clients_that_never_read_are_cut(
    server: Server, mutes: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.transports.websocket.backlog.STALLED_AFTER", 0.3)
    monkeypatch.setattr(unread_answers, "LOOK", 0.05)
    await until(lambda: any(connection._unread.watching for connection in connections(server)))
    await until(lambda: not connections(server))


async def test_cut_connections_leave_no_line_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(30):
        await send_and_close(server, b"GET /v1/groups HTTP/1.1\r\nHost: localhost\r\n\r\n" * (1 + number))
    await until(lambda: not connections(server))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def waiting(server: Server, client: socket.socket, request: bytes) -> HttpProtocol:
    """Send a request whose answer waits in the server, though it is too small for the server to stop writing."""
    await until(lambda: connections(server))
    connection = connections(server)[0]
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await asyncio.get_running_loop().sock_sendall(client, request)
    await until(lambda: connection.cycle is not None and connection.cycle.response_complete)
    assert 0 < connection.transport.get_write_buffer_size() < 65_536
    return connection


async def test_a_client_that_writes_and_reads_no_more_is_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.transports.websocket.backlog.STALLED_AFTER", 0.3)
    monkeypatch.setattr(unread_answers, "LOOK", 0.05)
    with await ask(server, b"") as client:
        await waiting(server, client, FILE)
        client.shutdown(socket.SHUT_WR)
        await until(lambda: not connections(server))


async def test_reading_most_of_the_last_answer_does_not_help(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.transports.websocket.backlog.STALLED_AFTER", 0.3)
    monkeypatch.setattr(unread_answers, "LOOK", 0.05)
    with await ask(server, b"") as client:
        connection = await waiting(server, client, FILE[:-2] + b"Connection: close\r\n\r\n")
        connection.resume_writing()  # as the transport does when little is left
        await until(lambda: not connections(server))


async def test_who_only_writes_no_more_is_answered(server: Server, raw: Open) -> None:
    connection = await raw(server)
    await connection.send(TINY * 20)
    connection._writer.write_eof()
    assert [(await connection.answer())[0] for _ in range(20)] == [200] * 20
    assert await connection.ended() == b""
