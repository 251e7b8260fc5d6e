"""One client floods; it is limited or cut, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from hubbub import session_lifetime
from hubbub.errors import Close
from hubbub.server import Server
from support.raw import RawWebSocket, text

Start = Callable[..., Awaitable[Server]]
Make = Callable[..., Awaitable[Any]]


def masked(opcode: Opcode, payload: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


FLOODS = {
    "pings": (b"", masked(Opcode.PING, b"")),
    "large pings": (b"", masked(Opcode.PING, b"x" * 125)),
    "slow-lane pongs": (masked(Opcode.PING, b""), masked(Opcode.PONG, b"")),
    "one-byte frames": (b"", masked(Opcode.TEXT, b"x")),
    "empty frames": (b"", masked(Opcode.TEXT, b"")),
    "one-byte fragments": (masked(Opcode.TEXT, b"x", fin=False), masked(Opcode.CONT, b"x", fin=False)),
    "empty fragments": (masked(Opcode.TEXT, b"", fin=False), masked(Opcode.CONT, b"", fin=False)),
    "joins and leaves": (b"", text('{"id":1,"do":"join","group":"hall"}') + text('{"id":2,"do":"leave"}')),
    "commands without an id": (b"", text('{"do":"leave"}')),
}


async def flood(attacker: RawWebSocket, data: bytes) -> None:
    """Send, until the connection is cut or the server takes no more."""
    with suppress(OSError):
        while True:
            await attacker.loop.sock_sendall(attacker.socket, data)


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_ends_with_a_close(
    kind: str, start: Start, attack: Make, bystanders: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_lifetime, "CLOSE_TIMEOUT", 0.3)
    server = await start(rate_limit=20, rate_burst=20)
    group = await bystanders(server)
    flooder = await attack(server)
    await flooder.enter("flooder", "elsewhere")
    first, again = FLOODS[kind]
    await flooder.send(first)
    flooding = asyncio.create_task(flood(flooder, again * 500))
    try:
        for _ in range(5):
            await group.post()
        assert await flooder.fate() == Close.FLOODING
    finally:
        flooding.cancel()
        await asyncio.wait([flooding])
    for _ in range(5):
        await group.post()
    await group.check()


async def test_a_message_that_never_ends_is_too_large(start: Start, attack: Make, bystanders: Make) -> None:
    server = await start()
    group = await bystanders(server)
    for first, again in (
        (masked(Opcode.TEXT, b"[", fin=False), masked(Opcode.CONT, b" " * 2000, fin=False)),
        (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + bytes(4), b" " * 2000),
    ):
        flooder = await attack(server)
        await flooder.enter("flooder", "elsewhere")
        await flooder.send(first)
        flooding = asyncio.create_task(flood(flooder, again))
        assert await flooder.fate() == Close.COMMAND_TOO_LARGE
        flooding.cancel()
        await asyncio.wait([flooding])
        await group.post()
    await group.check()


async def test_names_of_groups_leave_nothing_behind(start: Start, attack: Make) -> None:
    server = await start(rate_limit=0)
    flooder = await attack(server)
    await flooder.enter("flooder", "elsewhere")
    for start_at in range(0, 2000, 100):
        names = (f'{{"id":{n},"do":"join","group":"name {n}"}}' for n in range(start_at + 3, start_at + 103))
        await flooder.send(b"".join(map(text, names)))
    last = b""
    while not last.startswith(b'{"id":2002'):
        last = (await flooder.frame())[1]
    assert await server.node.backend.count() == (1, 1)
    assert len(server.node.fanout.groups) == 1


async def test_who_respects_the_limit_is_not_cut(start: Start, attack: Make) -> None:
    """Up to five times the allowed commands at once are refused, each with an answer, and the connection stays."""
    server = await start(rate_limit=0.05, rate_burst=20)
    client = await attack(server)
    await client.enter("eager", "hall")
    await client.send(b"".join(text(f'{{"id":{n},"do":"leave"}}') for n in range(3, 103)))
    answers = [(await client.frame())[1] for _ in range(100)]
    assert [b'"ok"' in answer for answer in answers[:18]] == [True] * 18
    assert all(b'"RATE_LIMITED"' in answer for answer in answers[20:])
    await client.send(masked(Opcode.PING, b"still here"))
    assert await client.frame() == (Opcode.PONG, b"still here")


async def test_large_fragments_and_now_and_then_a_ping_are_normal(start: Start, attack: Make) -> None:
    server = await start(rate_limit=20, rate_burst=20)
    client = await attack(server)
    await client.enter("normal", "hall")
    for number in range(15):
        await client.send(masked(Opcode.TEXT, b'{"id":9,"do":"leave","padding":"', fin=False))
        for _ in range(30):
            await client.send(masked(Opcode.CONT, b"x" * 2000, fin=False))
        await client.send(masked(Opcode.CONT, b'"}') + masked(Opcode.PING, b"%d" % number))
        assert b'"ok"' in (await client.frame())[1]
        assert await client.frame() == (Opcode.PONG, b"%d" % number)
