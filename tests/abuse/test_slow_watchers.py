"""A client that watches and does not read: nothing queues for it, and when it reads again it has the newest list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.frames import Opcode

from hubbub.server import Server
from support.clients import Peer
from support.live import Mirror
from support.raw import RawWebSocket, text
from support.waiting import PATIENCE

WATCH: dict[str, Any] = {"id": 7, "do": "watch", "what": "groups", "limit": 1000, "every": 10}
NAME = "x" * 200


async def entered(attacker: RawWebSocket, guest: str) -> None:
    """Connect, and watch all groups."""
    await attacker.enter(guest, "hall")
    await attacker.send(text(json.dumps(WATCH)))


async def read_until(attacker: RawWebSocket, wanted: str) -> tuple[Mirror, int]:
    """Read until the list has the group `wanted`; return the list, and how many events replaced the whole of it."""
    mirror: Mirror | None = None
    whole = 0
    async with asyncio.timeout(PATIENCE):
        while mirror is None or wanted not in [row["group"] for row in mirror.list]:
            opcode, payload = await attacker.frame()
            frame = json.loads(payload) if opcode is Opcode.TEXT else {}
            if frame.get("id") == WATCH["id"]:
                mirror = Mirror(WATCH, frame["ok"])
            elif frame.get("type") == "groups":
                assert mirror is not None
                mirror.apply(frame)
                whole += "list" in frame
    return mirror, whole


async def test_a_watcher_that_does_not_read(
    start: Callable[..., Awaitable[Server]],
    attack: Callable[..., Awaitable[RawWebSocket]],
    peers: Callable[..., Awaitable[Peer]],
) -> None:
    server = await start(rate_limit=0, view_interval=0.01, view_cpu=1)
    members = [await peers(server, guest=f"m{number}") for number in range(30)]
    slow = await attack(server, receive_buffer=1)
    await entered(slow, "slow")
    (session,) = [each for each in server.node.sessions.values() if each.user_id == "slow"]
    link: Any = session.link
    most, changes = 0, 0
    async with asyncio.timeout(PATIENCE):
        while changes < 60 or not [watcher for watcher in (session.watches or {}).values() if watcher.behind]:
            changes += 1
            for number, member in enumerate(members):
                await member.do("join", group=f"{NAME}{changes}-{number}")
            most = max(most, link._transport.get_write_buffer_size())
    assert most < 65_536 + 20_000, "events have queued"
    assert not session.closing
    await members[0].do("join", group="the last one")
    mirror, whole = await read_until(slow, "the last one")
    assert len(mirror.list) == 31
    assert whole >= 1
    assert server.node.counters.queue_cuts == 0


async def test_watchers_that_do_not_read_do_not_delay_others(
    start: Callable[..., Awaitable[Server]],
    attack: Callable[..., Awaitable[RawWebSocket]],
    peers: Callable[..., Awaitable[Peer]],
) -> None:
    server = await start(rate_limit=0, view_interval=0.01, view_cpu=1)
    for number in range(5):
        await entered(await attack(server, receive_buffer=1), f"slow{number}")
    watcher, member = await peers(server, guest="watcher"), await peers(server, guest="member")
    await watcher.do("watch", **{name: value for name, value in WATCH.items() if name not in ("id", "do")})
    for number in range(100):
        group = f"{NAME}{number}"
        await member.do("join", group=group)
        async with asyncio.timeout(PATIENCE):
            while group not in [row["group"] for row in (await watcher.event()).get("set", ())]:
                pass
