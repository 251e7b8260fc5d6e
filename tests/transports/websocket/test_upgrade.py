"""The way from an HTTP request to a WebSocket: what may stand before it, in it and right behind it."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable

import pytest

from hubbub.server import Server
from support.clients import Raw
from support.waiting import PATIENCE

Open = Callable[..., Awaitable[Raw]]
Start = Callable[..., Awaitable[Server]]

HEAD = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
UPGRADE = HEAD % b"/v1/connect"


def frame(**command: object) -> bytes:
    payload = json.dumps(command).encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return b"\x81" + length + bytes(4) + payload  # a mask of zeros


async def hear(connection: Raw) -> dict[str, object]:
    """Read one text frame."""
    reader = connection._reader
    async with asyncio.timeout(PATIENCE):
        _, length = await reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
        return json.loads(await reader.readexactly(length))


async def test_frames_in_the_packet_of_the_upgrade_are_heard(server: Server, raw: Open) -> None:
    connection = await raw(server)
    commands = frame(id=1, do="connect", guest="ada") + frame(id=2, do="join", group="g") + frame(id=3, do="groups")
    await connection.send(UPGRADE + b"\r\n" + commands)
    assert (await connection.answer())[0] == 101
    assert [(await hear(connection))["id"] for _ in range(3)] == [1, 2, 3]


async def test_a_request_before_the_upgrade_is_answered_first(server: Server, raw: Open) -> None:
    connection = await raw(server)
    await connection.send(b"GET /v1/groups HTTP/1.1\r\nHost: localhost\r\n\r\n" + UPGRADE + b"\r\n")
    assert [(await connection.answer())[0] for _ in range(2)] == [200, 101]


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", b"HTTP/1.1"),
        (UPGRADE + b"Content-Length: 5\r\n\r\nhello", b"body"),
        (UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"body"),
    ],
    ids=["HTTP/1.0", "a body", "chunked"],
)
async def test_upgrades_that_proxies_might_read_otherwise_are_refused(
    server: Server, raw: Open, request_: bytes, names: bytes
) -> None:
    connection = await raw(server)
    await connection.send(request_)
    status, headers, body = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert names in body
    assert await connection.ended() == b""


async def test_other_upgrades_are_ignored(server: Server, raw: Open) -> None:
    connection = await raw(server)
    await connection.send(
        b"GET /v1/groups HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    )
    assert (await connection.answer())[0] == 200
