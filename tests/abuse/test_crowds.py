"""Many connections at once: handshakes that are never finished, and clients that all reconnect."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.server import ServerProtocol

from hubbub.errors import Close
from hubbub.server import Server
from hubbub.session import Session
from hubbub.transports.http import time_limits
from hubbub.transports.http.protocol import HttpProtocol
from hubbub.transports.websocket.protocol import WebSocketProtocol
from support.frames import HANDSHAKE
from support.waiting import PATIENCE

Start = Callable[..., Awaitable[Server]]
Make = Callable[..., Awaitable[Any]]
OURS = (HttpProtocol, WebSocketProtocol, Session, ServerProtocol)


async def test_handshakes_that_do_not_end(start: Start, attack: Make, bystanders: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr(time_limits, "HEAD_TIMEOUT", 1.0)
    server = await start(identify_timeout=1.0)
    half = [await attack(server) for _ in range(50)]
    silent = [await attack(server) for _ in range(50)]
    dripping = [await attack(server) for _ in range(20)]
    await asyncio.gather(*(bad.send(HANDSHAKE[:80]) for bad in half))
    await asyncio.gather(*(bad.upgrade() for bad in silent))

    async def drip(bad: Any) -> bytes:
        """Send a byte now and then, until the server has had enough; return what it said."""
        said = asyncio.create_task(bad.read())
        for byte in HANDSHAKE:
            await asyncio.wait([said], timeout=0.05)
            if said.done():
                break
            await bad.send(bytes([byte]))
        answer: bytes = await said
        return answer

    drips = [asyncio.create_task(drip(bad)) for bad in dripping]
    group = await bystanders(server)  # new clients still connect
    await group.post()
    assert [(await bad.read()).split()[1] for bad in half] == [b"408"] * 50
    assert [await bad.fate() for bad in silent] == [Close.NOT_IDENTIFIED] * 50
    assert [(await task).split()[1] for task in drips] == [b"408"] * 20
    await group.check()


async def test_all_are_cut_and_all_come_back(server: Server, attack: Make) -> None:
    chance = random.Random(1)

    async def come(number: int) -> Any:
        await asyncio.sleep(chance.random() * 0.3)
        client = await attack(server)
        await client.enter(f"guest-{number}", f"room {number // 20}")
        return client

    clients = await asyncio.gather(*map(come, range(200)))
    for _ in range(2):
        for client in clients:
            client.abort()
        clients = await asyncio.gather(*map(come, range(200)))
        async with asyncio.timeout(PATIENCE):
            while len(server.node.sessions) > 200:
                await asyncio.sleep(0.01)
        assert await server.node.backend.count() == (10, 200)
        assert len(server.node.fanout.connections) == 200


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("ending", ["cut", "close", "binary", "refused", "half"])
async def test_an_ended_connection_leaves_nothing_for_the_garbage_collector(
    server: Server, attack: Make, ending: str
) -> None:
    """Its memory is released at once: with 10,000 connections a look at all objects would stop everything for long."""

    def left() -> int:
        return sum(type(found) in OURS for found in gc.get_objects())

    with no_collector():
        before = left()
        for number in range(20):
            client = await attack(server)
            if ending == "half":
                await client.send(HANDSHAKE[:80])
            elif ending == "refused":
                await client.send(HANDSHAKE.replace(b"/v1/connect", b"/v2/connect"))
                await client.read()
            else:
                await client.enter(f"guest-{number}", "hall")
            if ending == "close":
                await client.send(b"\x88\x80" + bytes(4))
                await client.fate()
            elif ending == "binary":
                await client.send(b"\x82\x80" + bytes(4))
                assert await client.fate() == Close.BINARY
            client.abort()
        async with asyncio.timeout(PATIENCE):
            while left() > before:
                await asyncio.sleep(0.01)
