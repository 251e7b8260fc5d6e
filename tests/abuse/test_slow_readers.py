"""A client that does not read is cut before it costs others anything; a slow one receives everything or is cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.frames import Opcode

from hubbub.errors import Close
from hubbub.server import Server
from hubbub.transports.websocket import backlog, slow_reader
from support.waiting import PATIENCE

Start = Callable[..., Awaitable[Server]]
Make = Callable[..., Awaitable[Any]]


def closes(server: Server) -> int:
    return server.node.counters.closes[str(int(Close.TOO_SLOW))]


def queued(server: Server) -> int:
    """Return the most bytes that wait for any connection."""
    links: list[Any] = [session.link for session in server.node.sessions.values()]
    return max(int(link._transport.get_write_buffer_size()) for link in links)


async def test_who_reads_nothing_is_cut_by_time(
    start: Start, attack: Make, bystanders: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "STALLED_AFTER", 0.3)
    monkeypatch.setattr(slow_reader, "LOOK", 0.05)
    server = await start(rate_limit=0)
    group = await bystanders(server)
    stalled = [await attack(server, receive_buffer=1) for _ in range(10)]
    for number, reader in enumerate(stalled):
        await reader.enter(f"stalled-{number}", "hall")
    assert await group.post() == 14
    async with asyncio.timeout(PATIENCE):
        while closes(server) < 10:
            await group.post(4000)
            assert queued(server) <= server.settings.max_queue // 2, "the time was not what cut them"
            await asyncio.sleep(0.005)
    assert server.node.counters.queue_cuts == 10
    assert await group.post() == 4
    await group.check()


async def test_what_waits_never_exceeds_the_bound(start: Start, attack: Make, bystanders: Make) -> None:
    server = await start(rate_limit=0, max_queue=300_000)
    group = await bystanders(server)
    stalled = [await attack(server, receive_buffer=1) for _ in range(5)]
    for number, reader in enumerate(stalled):
        await reader.enter(f"stalled-{number}", "hall")
    most = 0
    while await group.post(30_000) > 4:
        most = max(most, queued(server))
        assert most <= 300_000 + 100  # the close frame comes on top
        assert group.posted < 1000
    assert most > 200_000
    await group.check()


async def test_who_reads_slowly_hears_everything_up_to_the_cut(start: Start, attack: Make, bystanders: Make) -> None:
    server = await start(rate_limit=0, max_queue=200_000)
    group = await bystanders(server)
    slow = await attack(server, receive_buffer=1)
    await slow.enter("slow", "hall")
    heard = []
    recipients = 5
    while recipients == 5:
        for _ in range(3):
            recipients = await group.post(20_000)
        assert group.posted < 1000
        opcode, payload = await slow.frame()
        if opcode is Opcode.TEXT and payload.startswith(b'{"type":"message"'):
            heard.append(json.loads(payload)["message"][0])
    code = None
    try:
        while code is None:
            opcode, payload = await slow.frame()
            if opcode is Opcode.CLOSE:
                code = int.from_bytes(payload[:2], "big")
            elif payload.startswith(b'{"type":"message"'):
                heard.append(json.loads(payload)["message"][0])
    except EOFError:
        pytest.fail("cut without a close code, though it was reading")
    assert code == Close.TOO_SLOW
    assert heard == list(range(1, len(heard) + 1))
    await group.check()


async def test_who_catches_up_in_time_stays(start: Start, attack: Make, bystanders: Make) -> None:
    server = await start(rate_limit=0)
    group = await bystanders(server)
    slow = await attack(server, receive_buffer=1)
    await slow.enter("slow", "hall")
    for _ in range(3):
        before = group.posted
        while queued(server) < 2 * backlog.RELAXED:
            assert await group.post(20_000) == 5
        heard: list[int] = []
        while len(heard) < group.posted - before:
            opcode, payload = await slow.frame()
            if opcode is Opcode.TEXT and payload.startswith(b'{"type":"message"'):
                heard.append(json.loads(payload)["message"][0])
        assert heard == list(range(before + 1, group.posted + 1))
    assert await group.post() == 5
    await group.check()
    assert closes(server) == 0
