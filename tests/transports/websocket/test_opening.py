"""From the upgrade request to its answer: admission when many clients connect at once, and frames that come early."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable

import pytest
from websockets.exceptions import InvalidStatus

from hubbub.server import Server
from hubbub.transports.websocket.opening import MAX_EARLY_BYTES
from support.clients import SECRET, Peer, Raw, bearer, open_peer
from support.waiting import PATIENCE

Open = Callable[..., Awaitable[Raw]]
Peers = Callable[..., Awaitable[Peer]]
CLIENTS = 150
UPGRADE = (
    b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


# --- admission --------------------------------------------------------------------------------------------------------


@pytest.fixture
def stuck(server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A queue of one connection that is not admitted, until this is undone."""
    for bound in ("MIN_RATE", "MAX_RATE"):
        monkeypatch.setattr(f"hubbub.admission.{bound}", 1e-9)
    admission = server.node.admission
    admission.rate = 1e-9
    while not admission.waiting:
        admission.enter(lambda: None)
    return monkeypatch


async def test_every_client_is_admitted_in_the_end(server: Server, peers: Peers, stuck: pytest.MonkeyPatch) -> None:
    stuck.setattr("hubbub.transports.websocket.acceptance.LONGEST_WAIT", float("inf"))
    admission = server.node.admission
    coming = [asyncio.create_task(peers(server, guest=f"u{number}", group="g")) for number in range(CLIENTS)]
    while admission.waiting < CLIENTS:  # however slow this machine is, all of them wait before the first is admitted
        assert not any(task.done() for task in coming)
        await asyncio.sleep(0)
    stuck.undo()
    assert len({(await task).welcome["connection_id"] for task in coming}) == CLIENTS
    assert (admission.waiting, len(server.node.sessions)) == (0, CLIENTS)


@pytest.mark.usefixtures("stuck")
async def test_a_client_that_would_wait_too_long_is_told_to_try_later(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await open_peer(server)
    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (503, "5")
    assert (
        b'"code":"UNAVAILABLE","message":"Too many clients are connecting at the same time. Try again later."'
        in refused.value.response.body
    )


async def waits(server: Server, stuck: pytest.MonkeyPatch) -> asyncio.Task[Peer]:
    """Return somebody who stands in the stuck."""
    stuck.setattr("hubbub.transports.websocket.acceptance.LONGEST_WAIT", float("inf"))
    task = asyncio.create_task(open_peer(server))
    while server.node.admission.waiting < 2:
        await asyncio.sleep(0)
    return task


async def test_a_client_that_waits_when_the_server_stops_is_told_so(server: Server, stuck: pytest.MonkeyPatch) -> None:
    waiting = await waits(server, stuck)
    server.node.draining = True
    stuck.undo()
    with pytest.raises(InvalidStatus) as refused:
        await waiting
    assert refused.value.response.status_code == 503


async def test_a_client_that_gives_up_while_it_waits_leaves_nothing_behind(
    server: Server, stuck: pytest.MonkeyPatch, peers: Peers
) -> None:
    (await waits(server, stuck)).cancel()
    stuck.undo()
    while server.node.admission.waiting or server.node.sessions:
        await asyncio.sleep(0)
    assert (await (await peers(server, guest="ada")).do("groups"))["list"] == []


# --- frames before the answer -----------------------------------------------------------------------------------------


def frame(size: int = 0, **command: object) -> bytes:
    """Return a masked text frame of `size` bytes, or as short as it can be."""
    payload = json.dumps(command).encode()
    payload = payload.ljust(size - 8)
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return b"\x81" + length + bytes(4) + payload  # a mask of zeros


async def reply(connection: Raw) -> dict[str, object]:
    """Read one text frame."""
    reader = connection._reader
    async with asyncio.timeout(PATIENCE):
        _, length = await reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
        return json.loads(await reader.readexactly(length))  # type: ignore[no-any-return]


async def admission_of(server: Server, connection: Raw, early: bytes) -> Callable[[], object]:
    """Send a request and the frames `early`, and return what admits the connection."""
    waiting: list[Callable[[], object]] = []
    server.node.admission.enter = lambda admitted: bool(waiting.append(admitted))  # type: ignore[method-assign,func-returns-value]
    await connection.send(UPGRADE + early)
    async with asyncio.timeout(PATIENCE):
        while not waiting:
            await asyncio.sleep(0)
    return waiting.pop()


HELLO = frame(id=1, do="connect", guest="ada")


async def test_frames_before_the_admission_are_answered_after_it(server: Server, raw: Open) -> None:
    connection = await raw(server)
    (await admission_of(server, connection, HELLO + frame(id=2, do="groups")))()
    assert (await connection.answer())[0] == 101
    assert [(await reply(connection))["id"] for _ in range(2)] == [1, 2]


async def test_early_frames_up_to_the_limit_are_kept(server: Server, raw: Open) -> None:
    connection = await raw(server)
    early = HELLO + frame(MAX_EARLY_BYTES - len(HELLO), id=2, do="groups")
    assert len(early) == MAX_EARLY_BYTES == 8192
    (await admission_of(server, connection, early))()
    assert (await connection.answer())[0] == 101
    assert [(await reply(connection))["id"] for _ in range(2)] == [1, 2]


async def test_one_byte_more_resets_the_connection(server: Server, raw: Open) -> None:
    connection = await raw(server)
    admit = await admission_of(server, connection, HELLO + frame(MAX_EARLY_BYTES - len(HELLO) + 1, id=2, do="groups"))
    admit()  # too late: nothing is opened
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await connection.answer()
    assert not server.node.sessions


async def test_nothing_is_read_while_a_connection_waits(server: Server, raw: Open) -> None:
    connection = await raw(server)
    admit = await admission_of(server, connection, HELLO)
    await connection.send(frame(60_000, id=2, do="groups"))  # over the limit, but the system holds it back
    admit()
    assert (await connection.answer())[0] == 101
    assert [(await reply(connection))["id"] for _ in range(2)] == [1, 2]


async def test_early_frames_over_the_budget_are_read_in_order(
    server: Server, raw: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await raw(server)
    admit = await admission_of(server, connection, HELLO + frame(id=2, do="groups"))
    budgets = server.node.budgets
    with monkeypatch.context() as patch:  # the budget is used up by other connections
        budgets.unidentified.left = -1
        patch.setattr(budgets, "allows", lambda budget: False)
        admit()
        (session,) = server.node.sessions.values()
        assert session.paused
        await connection.send(frame(id=3, do="groups"))
        assert (await connection.answer())[0] == 101
        assert not session.link._transport.is_reading()  # type: ignore[attr-defined]
    budgets.unidentified.left = 1
    assert [(await reply(connection))["id"] for _ in range(3)] == [1, 2, 3]


async def test_frames_during_the_check_of_a_token_are_kept(start: Callable[..., Awaitable[Server]], raw: Open) -> None:
    server = await start(secret=SECRET)
    connection = await raw(server)
    auth, checked = server.node.auth, asyncio.Event()
    authenticate = auth.authenticate

    async def late(token: str) -> object:
        await checked.wait()
        return await authenticate(token)

    auth.authenticate = late  # type: ignore[method-assign,assignment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(auth), "waits", True)
        header = f"Authorization: {bearer()['Authorization']}\r\n\r\n".encode()
        await connection.send(UPGRADE[:-2] + header + frame(id=2, do="groups"))
        while not server.node.tasks:
            await asyncio.sleep(0)
        checked.set()
        assert (await connection.answer())[0] == 101
    while "id" not in (answer := await reply(connection)):  # what a client hears when it is identified
        pass
    assert answer["id"] == 2
