"""The WebSocket transport over real sockets: what the protocol demands, and what the server decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from hubbub.errors import CLOSE_RULES, Close
from hubbub.server import Server
from support.clients import SECRET, Peer, bearer, token
from support.waiting import PATIENCE

Peers = Callable[..., Awaitable[Peer]]
Start = Callable[..., Awaitable[Server]]


def address(server: Server, query: str = "") -> str:
    return server.url.replace("http", "ws", 1) + "/v1/connect" + query


class Raw:
    """A WebSocket whose frames are made by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, server: Server) -> Raw:
        host, port = server.url.removeprefix("http://").split(":")
        raw = cls(*await asyncio.open_connection(host, int(port)))
        raw.writer.write(
            f"GET /v1/connect HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in await raw.reader.readuntil(b"\r\n\r\n")
        return raw

    def send(self, payload: bytes, opcode: Opcode = Opcode.TEXT, fin: bool = True) -> None:
        self.writer.write(Frame(opcode, payload, fin=fin).serialize(mask=True))

    async def receive(self) -> tuple[Opcode, bytes]:
        async with asyncio.timeout(PATIENCE):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            return Opcode(first & 0x0F), await self.reader.readexactly(size)

    async def close_code(self) -> int:
        opcode, payload = await self.receive()
        while opcode is not Opcode.CLOSE:
            opcode, payload = await self.receive()
        return int.from_bytes(payload[:2], "big")

    async def end(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


Raws = Callable[[Server], Awaitable[Raw]]


@pytest.fixture
async def raws() -> AsyncIterator[Raws]:
    """Open WebSockets whose frames are made by hand; closed at the end of the test."""
    async with AsyncExitStack() as stack:

        async def open_and_keep(server: Server) -> Raw:
            raw = await Raw.open(server)
            stack.push_async_callback(raw.end)
            return raw

        yield open_and_keep


async def test_a_command_in_fragments(server: Server, raws: Raws) -> None:
    raw = await raws(server)
    raw.send(b'{"id":1,"do":"conn', fin=False)
    raw.send(b"ping in between", Opcode.PING)
    raw.send(b"", Opcode.CONT, fin=False)
    raw.send(b'ect","guest":"ada"}', Opcode.CONT)
    answers = dict([await raw.receive(), await raw.receive()])
    assert answers[Opcode.PONG] == b"ping in between"
    assert json.loads(answers[Opcode.TEXT])["ok"]["user_id"] == "ada"


async def test_a_command_byte_by_byte(server: Server, raws: Raws) -> None:
    raw = await raws(server)
    for command in ('{"id":1,"do":"connect","guest":"%s"}' % ("a" * 200), '{"id":2,"do":"leave"}'):
        for byte in Frame(Opcode.TEXT, command.encode()).serialize(mask=True):
            raw.writer.write(bytes([byte]))
            await raw.writer.drain()
            await asyncio.sleep(0)
    assert [json.loads((await raw.receive())[1])["id"] for _ in range(2)] == [1, 2]


async def test_many_commands_in_one_piece(server: Server, raws: Raws) -> None:
    raw = await raws(server)
    raw.send(b'{"id":0,"do":"connect","guest":"ada"}')
    for number in range(1, 50):
        raw.send(b'{"id":%d,"do":"leave"}' % number)
    assert [json.loads((await raw.receive())[1])["id"] for _ in range(50)] == list(range(50))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.BINARY, b"x").serialize(mask=True), 1003),
        (Frame(Opcode.TEXT, b"\xff").serialize(mask=True), 1007),
        (Frame(Opcode.TEXT, b'"\xed\xa0\x80"').serialize(mask=True), 1007),
        (Frame(Opcode.TEXT, b"x" * 131_073).serialize(mask=True), 1009),
        (Frame(Opcode.TEXT, b"x").serialize(mask=False), 1002),
        (b"\xc1\x81\0\0\0\0x", 1002),
        (b"\x83\x81\0\0\0\0x", 1002),
        (Frame(Opcode.CONT, b"x").serialize(mask=True), 1002),
        (b"\x09\x81\0\0\0\0x", 1002),
        (b"\x81\xff\xff" + bytes(11), 1009),
        (Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True), 1000),
        (Frame(Opcode.CLOSE, b"\x00\x01").serialize(mask=True), 1002),
    ],
    # The frames' masks are random, and workers of pytest-xdist must find the same names.
    ids=[
        "binary",
        "not UTF-8",
        "surrogate",
        "too long",
        "not masked",
        "reserved bit",
        "reserved opcode",
        "stray continuation",
        "unfinished ping",
        "length without end",
        "close",
        "close with a code that is not one",
    ],
)
@pytest.mark.parametrize("before", [b"", b'{"id":1,"do":"connect","guest":"ada"}'], ids=["at once", "identified"])
async def test_what_breaks_the_protocol_closes_with_the_code_of_the_rfc(
    server: Server, raws: Raws, data: bytes, code: int, before: bytes
) -> None:
    raw = await raws(server)
    if before:
        raw.send(before)
    raw.writer.write(data)
    assert await raw.close_code() == code


async def test_a_large_fragmented_command_closes_with_1009(server: Server, raws: Raws) -> None:
    raw = await raws(server)
    raw.send(b"x" * 100_000, fin=False)
    raw.send(b"x" * 100_000, Opcode.CONT)
    assert await raw.close_code() == 1009


async def test_a_large_command_that_is_allowed(server: Server, peers: Peers) -> None:
    peer = await peers(server, guest="ada", group="g")
    assert (await peer.do("post", to="g", message="x" * 65_534))["recipients"] == 1
    assert len((await peer.event())["message"]) == 65_534
    assert (await peer.fail("post", to="g", message="x" * 65_535))["code"] == "TOO_LARGE"


async def test_the_subprotocol_is_chosen(server: Server, peers: Peers) -> None:
    assert (await peers(server)).socket.subprotocol == "hubbub.v1"


async def test_a_token_in_the_url_or_header_identifies_at_once(secured: Server) -> None:
    for options in ({"uri": address(secured, f"?token={token('ada')}")}, {"additional_headers": bearer("ada")}):
        options.setdefault("uri", address(secured))
        async with connect(**options, proxy=None) as socket:
            await socket.send('{"id":1,"do":"join","group":"g"}')
            assert "Joined" in str(await socket.recv())


async def test_a_wrong_token_is_refused_before_the_upgrade(secured: Server) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(address(secured, f"?token={token(secret=SECRET[::-1])}"), proxy=None)
    assert caught.value.response.status_code == 401
    assert json.loads(caught.value.response.body or b"")["error"]["code"] == "UNAUTHORIZED"


async def test_another_path_is_404(server: Server) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(server.url.replace("http", "ws", 1) + "/v2/connect", proxy=None)
    assert caught.value.response.status_code == 404


async def test_the_server_is_full(start: Start, peers: Peers) -> None:
    server = await start(max_connections=1)
    peer = await peers(server)
    with pytest.raises(InvalidStatus) as caught:
        await connect(address(server), proxy=None)
    assert caught.value.response.status_code == 503
    assert caught.value.response.headers["Retry-After"] == "5"
    await peer.socket.close()
    async with asyncio.timeout(PATIENCE):
        while server.node.full:
            await asyncio.sleep(0)
    await peers(server, guest="ada")


async def test_unidentified_connections_are_closed(start: Start, peers: Peers) -> None:
    server = await start(identify_timeout=0.1)
    peer = await peers(server)
    assert await peer.closed() == Close.NOT_IDENTIFIED
    assert peer.socket.close_reason == CLOSE_RULES[Close.NOT_IDENTIFIED].reason


async def test_dead_connections_are_found(start: Start, peers: Peers, raws: Raws) -> None:
    server = await start(ping_interval=0.1)
    observer = await peers(server, guest="observer", group="g")
    dead = await raws(server)
    dead.send(b'{"id":1,"do":"connect","guest":"dead"}')
    dead.send(b'{"id":2,"do":"join","group":"g"}')
    assert (await observer.event())["code"] == "USER_JOINED"
    assert await dead.close_code() == Close.PING_TIMEOUT
    assert (await observer.event())["code"] == "USER_DISCONNECTED"


async def test_a_lost_connection_is_noticed_at_once(server: Server, peers: Peers) -> None:
    observer = await peers(server, guest="observer", group="g")
    lost = await peers(server, guest="lost", group="g")
    await observer.event()
    lost.socket.transport.abort()
    notice = await observer.event()
    assert (notice["code"], notice["user_connections"]) == ("USER_DISCONNECTED", 0)


async def test_who_reads_too_slowly_is_cut_and_nobody_else_notices(start: Start, peers: Peers, raws: Raws) -> None:
    server = await start(max_queue=200_000, rate_limit=0)
    slow = await raws(server)
    slow.send(b'{"do":"connect","guest":"slow"}')
    slow.send(b'{"do":"join","group":"g"}')
    poster = await peers(server, guest="poster", group="g")
    while len((await poster.do("users"))["list"]) < 2:
        pass
    poster.events.clear()
    posted = 0
    while (await poster.do("post", to="g", message="x" * 60_000))["recipients"] == 2:
        posted += 1
        assert posted < 1000, "the queue is not bounded"
    # It hears everything that was queued, then why it has to go: never a silent hole.
    received = 0
    opcode, payload = await slow.receive()
    while opcode is not Opcode.CLOSE:
        received += b'"type":"message"' in payload
        opcode, payload = await slow.receive()
    assert int.from_bytes(payload[:2], "big") == Close.TOO_SLOW
    assert received <= posted
    assert len(poster.events) >= posted


async def test_the_server_stops(start: Start, peers: Peers) -> None:
    server = await start()
    peer = await peers(server, guest="ada", group="g")
    server.stop()
    assert (await peer.event())["type"] == "restart"
    with pytest.raises(ConnectionClosed):
        await peer.socket.recv()
    assert peer.socket.close_code == Close.GOING_AWAY


async def test_order_of_replies_privates_and_messages(server: Server, peers: Peers) -> None:
    """One connection posts to its group, to itself and asks, all at once; everything arrives as it was accepted."""
    peer = await peers(server, guest="ada", group="g")
    other = await peers(server, guest="bob", group="g")
    assert (await peer.event())["code"] == "USER_JOINED"
    for number in range(20):
        await peer.socket.send(json.dumps({"do": "post", "to": {"group": "g"}, "message": [number, "group"]}))
        await peer.socket.send(json.dumps({"do": "post", "to": {"user_id": "ada"}, "message": [number, "private"]}))
        await peer.socket.send(json.dumps({"id": 100 + number, "do": "leave"}))
        await peer.socket.send(json.dumps({"id": 200 + number, "do": "join", "group": "g"}))
    heard = []
    while len(heard) < 80:
        frame = await peer.frame()
        heard.append(frame["id"] if "id" in frame else tuple(frame["message"]))
    expected = [((n, "group"), (n, "private"), 100 + n, 200 + n) for n in range(20)]
    assert heard == [item for items in expected for item in items]
    kinds = [((await other.event()).get("code") or "message") for _ in range(60)]
    assert kinds == ["message", "USER_LEFT", "USER_JOINED"] * 20
