"""A refused page is told why in a close frame, and costs no more than a refused handshake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.typing import Origin, Subprotocol

from hubbub.errors import Close
from hubbub.server import Server
from hubbub.transports.websocket.refused_page import ANSWER_TIME, MAX_BYTES
from support.raw import Raw
from support.waiting import PATIENCE

Start = Callable[..., Awaitable[Server]]
Open = Callable[[Server], Awaitable[Raw]]

EVIL = Origin("https://evil.example")
REASON = "origin https://evil.example is not allowed; add it to --origins of the server"


def address(server: Server, path: str = "/v1/connect") -> str:
    return server.url.replace("http", "ws", 1) + path


async def refuse(server: Server, origin: Origin = EVIL) -> ConnectionClosed:
    """Open a WebSocket as a page of `origin`; return how the server closed it."""
    async with connect(address(server), origin=origin, proxy=None) as socket, asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
    return caught.value


async def hold(server: Server, raw: Open) -> Raw:
    """Open a WebSocket as a page that is refused, and do not answer the close frame."""
    connection = await raw(server)
    host = server.url.removeprefix("http://")
    await connection.send(
        f"GET /v1/connect HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {EVIL}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert (await connection.answer())[0] == 101
    return connection


async def gone(server: Server) -> None:
    """Wait until the server has forgotten all refused pages."""
    async with asyncio.timeout(PATIENCE):
        while server.node.refused_pages:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("path", "protocol"), [("/v1/connect", "hubbub.v1"), ("/skapi/connect", None)])
async def test_the_close_frame_says_what_to_do(server: Server, path: str, protocol: str | None) -> None:
    offered = None if protocol is None else [Subprotocol(protocol)]
    async with connect(address(server, path), origin=EVIL, subprotocols=offered, proxy=None) as socket:
        assert socket.subprotocol == protocol
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (Close.ORIGIN, REASON)
    assert not server.node.sessions
    assert server.node.counters.refused == {"FORBIDDEN": 1}
    await gone(server)


async def test_a_page_of_this_machine_may_connect_where_guests_may(start: Start) -> None:
    page = Origin("http://localhost:5173")
    async with connect(address(await start()), origin=page, proxy=None) as socket:
        await socket.send('{"id":1,"do":"connect","guest":"ada"}')
        assert '"ok"' in str(await socket.recv())
    closed = await refuse(await start(secret="s" * 32), page)
    assert closed.rcvd is not None
    assert closed.rcvd.code == Close.ORIGIN


async def test_no_command_is_read(server: Server, raw: Open) -> None:
    connection = await hold(server, raw)
    command = Frame(Opcode.TEXT, b'{"id":1,"do":"connect","guest":"ada"}').serialize(mask=True)
    await connection.send(command + Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    assert await connection.ended() == Frame(Opcode.CLOSE, b"\x0f\xa8" + REASON.encode()).serialize(mask=False)
    assert not server.node.counters.commands
    await gone(server)


@pytest.mark.parametrize(
    "noise", [b"", b"\xff" * 10, b"\x81\xfe\xff\xff" + b"x" * 3 * MAX_BYTES, b"\x89\x80abcd" * 600]
)
async def test_a_client_that_does_not_answer_is_cut(server: Server, raw: Open, noise: bytes) -> None:
    began = server.node.now()
    connection = await hold(server, raw)
    await connection.send(noise)
    try:
        assert (await connection.ended()).startswith(b"\x88")
    except ConnectionResetError:
        assert server.node.now() - began >= ANSWER_TIME - 0.1
    await gone(server)
    assert server.node.now() - began < ANSWER_TIME + 2


async def test_refused_pages_count_as_connections(start: Start, raw: Open) -> None:
    server = await start(max_connections=3)
    for _ in range(3):
        await hold(server, raw)
    assert server.node.full
    for origin in (EVIL, None):
        with pytest.raises(InvalidStatus) as caught:
            await connect(address(server), origin=origin, proxy=None)
        assert caught.value.response.status_code == 503
    await gone(server)
    async with connect(address(server), proxy=None):
        pass


async def test_a_client_that_leaves_is_forgotten_at_once(server: Server, raw: Open) -> None:
    connection = await hold(server, raw)
    assert server.node.refused_pages == 1
    await connection.close()
    await gone(server)


async def test_the_log_names_the_flag(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        await refuse(server)
    lines = [record for record in caplog.records if record.name == "hubbub.origins"]
    assert [record.levelno for record in lines] == [logging.WARNING]
    assert lines[0].getMessage().endswith("start the server with --origins https://evil.example")
