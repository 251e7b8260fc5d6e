"""A crowd at the door: who has to wait is let in in its turn, or told that it would take too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.exceptions import InvalidStatus

from hubbub.server import Server
from support.clients import Peer, open_peer

Peers = Callable[..., Awaitable[Peer]]
CROWD = 150


@pytest.fixture
def line(server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A line of one that does not move, until this is undone."""
    for bound in ("SLOWEST", "FASTEST"):
        monkeypatch.setattr(f"hubbub.admission.{bound}", 1e-9)
    admission = server.node.admission
    admission.rate = 1e-9
    while not admission.waiting:
        admission.enter(lambda: None)
    return monkeypatch


async def test_a_crowd_gets_in_in_the_end(server: Server, peers: Peers, line: pytest.MonkeyPatch) -> None:
    line.setattr("hubbub.transports.websocket.opening.LONGEST_WAIT", float("inf"))
    admission = server.node.admission
    coming = [asyncio.create_task(peers(server, guest=f"u{number}", group="g")) for number in range(CROWD)]
    while admission.waiting < CROWD:  # however slow this machine is, all of them wait before the first is admitted
        assert not any(task.done() for task in coming)
        await asyncio.sleep(0)
    line.undo()
    assert len({(await task).welcome["connection_id"] for task in coming}) == CROWD
    assert (admission.waiting, len(server.node.sessions)) == (0, CROWD)


@pytest.mark.usefixtures("line")
async def test_who_would_wait_too_long_is_told_to_come_later(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await open_peer(server)
    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (503, "5")
    assert (
        b'"code":"UNAVAILABLE","message":"Too many clients are connecting at the same time. Try again later."'
        in refused.value.response.body
    )


async def waits(server: Server, line: pytest.MonkeyPatch) -> asyncio.Task[Peer]:
    """Return somebody who stands in the line."""
    line.setattr("hubbub.transports.websocket.opening.LONGEST_WAIT", float("inf"))
    task = asyncio.create_task(open_peer(server))
    while server.node.admission.waiting < 2:
        await asyncio.sleep(0)
    return task


async def test_who_waits_when_the_server_stops_is_told_so(server: Server, line: pytest.MonkeyPatch) -> None:
    waiting = await waits(server, line)
    server.node.draining = True
    line.undo()
    with pytest.raises(InvalidStatus) as refused:
        await waiting
    assert refused.value.response.status_code == 503


async def test_who_gives_up_in_the_line_leaves_nothing_behind(
    server: Server, line: pytest.MonkeyPatch, peers: Peers
) -> None:
    (await waits(server, line)).cancel()
    line.undo()
    while server.node.admission.waiting or server.node.sessions:
        await asyncio.sleep(0)
    assert (await (await peers(server, guest="ada")).do("groups"))["list"] == []
