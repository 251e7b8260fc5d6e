"""A client that asks for a history again and again and reads nothing: what the server keeps for it is bounded."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from hubbub.server import Server
from support.clients import Peer
from support.raw import text

Start = Callable[..., Awaitable[Server]]
Make = Callable[..., Awaitable[Any]]

JOIN = {"id": 7, "do": "join", "group": "full", "history": 100}


def unread(server: Server) -> list[int]:
    """Return the bytes that wait for each connection."""
    return [
        session.link._transport.get_write_buffer_size() + sum(map(len, session.outbox))  # type: ignore[attr-defined]
        for session in server.node.sessions.values()
    ]


async def fill(poster: Peer) -> None:
    """Give its group a history of 100 messages, some 400 kB."""
    for number in range(100):
        await poster.do("post", to="full", message=[number, "x" * 4000])


async def test_replays_that_nobody_reads_are_bounded_per_user(
    start: Start, attack: Make, bystanders: Make, peers: Make
) -> None:
    server = await start(rate_limit=0, max_queue=2_000_000, max_queue_user=3_000_000, history_bytes=900_000)
    group = await bystanders(server)
    await fill(await peers(server, guest="filler", group="full"))
    silent = [await attack(server, receive_buffer=1) for _ in range(10)]
    for one in silent:
        await one.enter("silent", "hall")
    most = 0
    for _ in range(10):
        for one in silent:
            await one.send(text(json.dumps(JOIN)))
        await group.post()
        most = max(most, sum(unread(server)))
    # What is read of the sockets by the system comes first, and 64 KiB of each connection are not counted.
    assert 2_000_000 < most <= 3_000_000 + 10 * 65_536, most
    await group.check()


async def test_what_does_not_fit_is_a_gap(start: Start, attack: Make, bystanders: Make, peers: Make) -> None:
    server = await start(rate_limit=0, max_queue=2_000_000, history_bytes=900_000)
    group = await bystanders(server)
    await fill(await peers(server, guest="filler", group="full"))
    silent = await attack(server, receive_buffer=1)
    await silent.enter("silent", "hall")
    for _ in range(20):
        await silent.send(text(json.dumps(JOIN)))
        await group.post()
    assert max(unread(server)) <= 2_000_000, "more waits than may"
    assert server.node.counters.queue_cuts == 0, "a replay that does not fit is a gap, and closes nothing"
    await group.check()


async def test_who_reads_rejoins_as_often_as_it_likes(start: Start, peers: Callable[..., Awaitable[Peer]]) -> None:
    server = await start(rate_limit=0, history_bytes=524_288)
    await fill(await peers(server, guest="filler", group="full"))
    reader = await peers(server, guest="reader", group="full")
    for _ in range(20):
        reply = await reader.do("join", group="full", history=100)
        assert (reply["replayed"], reply.get("gap", False)) == (100, False)
        heard = [(await reader.event())["message"][0] for _ in range(100)]
        assert heard == list(range(100))
