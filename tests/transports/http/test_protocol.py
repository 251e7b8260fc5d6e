"""The limits below HTTP: how large the head of a request may be, and how long a request may take."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable

import pytest

from hubbub.server import Server
from hubbub.transports.http import time_limits
from hubbub.transports.http.head_checks import MAX_HEAD
from support.clients import Peer, Raw, server_bearer

Open = Callable[..., Awaitable[Raw]]
Peers = Callable[..., Awaitable[Peer]]

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def code(body: bytes) -> str:
    return json.loads(body)["error"]["code"]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the time limits short. What a test sends at once is still well within them."""
    monkeypatch.setattr(time_limits, "HEAD_TIMEOUT", 0.2)
    monkeypatch.setattr(time_limits, "REQUEST_TIMEOUT", 0.4)


# --- size -------------------------------------------------------------------------------------------------------------


async def test_a_head_up_to_the_limit_is_taken(server: Server, raw: Open) -> None:
    connection = await raw(server)
    await connection.send(GET + b"X: " + b"x" * (MAX_HEAD - 200) + b"\r\n\r\n")
    assert (await connection.answer())[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        GET + b"x: y\r\n" * 6000 + b"\r\n",
        b"GET /?" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n\r\n",
        GET + b"X: " + b"x" * MAX_HEAD,  # and no end of it
    ],
    ids=["one header", "many headers", "address", "without an end"],
)
async def test_a_larger_head_is_refused(server: Server, raw: Open, head: bytes) -> None:
    connection = await raw(server)
    await connection.send(head)
    status, headers, body = await connection.answer()
    assert (status, code(body), headers["connection"]) == (431, "TOO_LARGE", "close")
    assert b"32768 bytes" in body
    assert await connection.ended() == b""


async def test_a_head_in_many_pieces_counts_as_a_whole(server: Server, raw: Open) -> None:
    connection = await raw(server)
    await connection.send(GET + b"X: ")
    for _ in range(MAX_HEAD // 1024):
        await connection.send(b"x" * 1024)
    status, _, body = await connection.answer()
    assert (status, code(body)) == (431, "TOO_LARGE")


async def test_heads_are_counted_one_by_one(server: Server, raw: Open) -> None:
    connection = await raw(server)
    for _ in range(3):  # together over the limit
        await connection.send(GET + b"X: " + b"x" * 20_000 + b"\r\n\r\n")
        assert (await connection.answer())[0] == 200
    await connection.send(GET + b"X: " + b"x" * 40_000 + b"\r\n\r\n")
    assert (await connection.answer())[0] == 431


async def test_requests_in_one_piece_are_answered_in_order(server: Server, raw: Open) -> None:
    connection = await raw(server)
    await connection.send((GET + b"X: " + b"x" * 9_000 + b"\r\n\r\n") * 5)  # together over the limit
    assert [(await connection.answer())[0] for _ in range(5)] == [200] * 5


async def test_a_body_is_no_part_of_the_head(secured: Server, raw: Open) -> None:
    connection = await raw(secured)
    authorization = server_bearer()["Authorization"].encode()
    body = b'{"message":"%s"}' % (b"x" * 60_000)
    head = b"POST /v1/groups/g/messages HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n"
    await connection.send(head % (authorization, len(body)))
    for start in range(0, len(body), 4096):
        await connection.send(body[start : start + 4096])
    assert (await connection.answer())[0] == 200


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET", GET, GET + b"X: y"])
async def test_a_head_that_does_not_end_is_given_up(server: Server, raw: Open, soon: None, sent: bytes) -> None:
    connection = await raw(server)
    await connection.send(sent)
    status, headers, body = await connection.answer()
    assert (status, headers["connection"]) == (408, "close")
    assert b"0.2 seconds" in body
    assert await connection.ended() == b""


@pytest.mark.parametrize("first", [b"", GET + b"\r\n"], ids=["at once", "after a request"])
async def test_dripping_empty_lines_does_not_help(server: Server, raw: Open, soon: None, first: bytes) -> None:
    connection = await raw(server)
    if first:
        await connection.send(first)
        assert (await connection.answer())[0] == 200
    dripping = asyncio.create_task(drip(connection))
    assert (await connection.answer())[0] == 408
    dripping.cancel()


async def drip(connection: Raw) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await connection.send(b"\r\n")
            await asyncio.sleep(0.01)


async def test_the_next_request_has_its_own_time(server: Server, raw: Open, soon: None) -> None:
    connection = await raw(server)
    await connection.send(GET + b"\r\n")
    assert (await connection.answer())[0] == 200
    await connection.send(b"GET /healthz")
    assert (await connection.answer())[0] == 408


async def test_a_body_that_does_not_end_is_given_up(
    secured: Server, raw: Open, soon: None, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await raw(secured)
    authorization = server_bearer()["Authorization"].encode()
    head = b"POST /v1/groups/g/messages HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 100\r\n\r\n"
    await connection.send(head % authorization + b'{"message"')
    status, headers, body = await connection.answer()
    assert (status, headers["connection"]) == (408, "close")
    assert b"The request was not complete within 0.4 seconds" in body
    assert await connection.ended() == b""
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_body_after_its_answer_is_given_up_without_another(secured: Server, raw: Open, soon: None) -> None:
    connection = await raw(secured)
    await connection.send(b"POST /v1/groups/g/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert (await connection.answer())[0] == 401
    assert await connection.ended() == b""


async def test_an_idle_websocket_is_not_cut(server: Server, peers: Peers, soon: None) -> None:
    peer = await peers(server, guest="ada", group="g")
    done = server.node.loop.create_future()
    server.node.loop.call_later(0.5, done.set_result, None)  # longer than either limit
    await done
    assert (await peer.do("post", to="g", message=1))["recipients"] == 1


# --- what is no HTTP --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",  # smuggling
        b"GET /healthz HTTP/1.1\r\nX : y\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET /v1/groups/\xc3\xa4/users HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_others_go_on(server: Server, raw: Open, sent: bytes) -> None:
    connection, other = await raw(server), await raw(server)
    await connection.send(sent)
    status, headers, body = await connection.answer()
    assert (status, code(body), headers["connection"]) == (400, "INVALID_REQUEST", "close")
    assert await connection.ended() == b""
    await other.send(GET + b"\r\n")
    assert (await other.answer())[0] == 200
