"""One HTTP connection: every kind of answer, and every kind of bad one, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.http_hooks.connection import MAX_HEAD, Answer, HttpConnection, LostError, NotHttpError
from support.raw_app import Behave, RawApp, answer, answers, serve_raw, silence

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


async def open_connection(app: RawApp) -> HttpConnection:
    port = int(app.url.rpartition(":")[2].partition("/")[0])
    _, connection = await asyncio.get_running_loop().create_connection(HttpConnection, "127.0.0.1", port)
    return connection


async def ask(behave: Behave, most: int = 100) -> tuple[Answer, bool]:
    """Return the answer, and whether the connection can be used again."""
    async with serve_raw(behave) as app, asyncio.timeout(30):
        connection = await open_connection(app)
        try:
            return await connection.ask(REQUEST, most), connection.usable
        finally:
            connection.close()


async def test_answers() -> None:
    assert await ask(answers(answer(b"hello"))) == (Answer(200, "", b"hello"), True)
    chunked = (
        b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    assert await ask(answers(chunked)) == (Answer(500, "gzip", b"abc"), True)
    assert await ask(answers(b"HTTP/1.1 204 No Content\r\n\r\n")) == (Answer(204, "", b""), True)
    informational = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    assert await ask(answers(informational, answer(b"x"))) == (Answer(200, "", b"x"), True)
    one_byte_at_a_time = [bytes([byte]) for byte in answer(b"slow")]
    assert await ask(answers(*one_byte_at_a_time)) == (Answer(200, "", b"slow"), True)


async def test_answers_that_end_the_connection() -> None:
    assert await ask(answers(answer(b"x", "200 OK", "Connection: close"))) == (Answer(200, "", b"x"), False)
    until_the_end = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"  # as PHP's own server does
    assert await ask(answers(until_the_end, close=True)) == (Answer(200, "", b"abc"), False)
    assert (await ask(answers(b"HTTP/1.0 200 OK\r\n\r\nabc", close=True)))[0] == Answer(200, "", b"abc")


async def test_several_requests_on_one_connection() -> None:
    async with serve_raw(answers(answer(b"1"))) as app:
        connection = await open_connection(app)
        for _ in range(3):
            assert (await connection.ask(REQUEST, 10)).body == b"1"
        assert (app.connections, connection.used) == (1, 3)
        connection.close()


@pytest.mark.parametrize(
    "behave",
    [
        answers(answer(b"x" * 101)),
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", b"x" * 101),
        answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"65\r\n" + b"x" * 101),
        answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 101),
        answers(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_HEAD + 200)),
        answers(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * MAX_HEAD),
        answers(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000),
        answers(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"e" * (MAX_HEAD + 200) + b"\r\nx\r\n"
        ),
    ],
)
async def test_an_answer_that_is_too_large(behave: Behave) -> None:
    with pytest.raises(NotHttpError):
        await ask(behave)


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\x00" * 50,
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_what_is_not_http(data: bytes) -> None:
    with pytest.raises(NotHttpError):
        await ask(answers(data))


async def test_no_answer() -> None:
    with pytest.raises(LostError) as lost:
        await ask(answers(close=True))
    assert not lost.value.began
    with pytest.raises(LostError) as lost:
        await ask(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", close=True))
    assert lost.value.began
    with pytest.raises(LostError):
        await ask(answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", close=True))


async def test_a_caller_that_gives_up_ends_the_connection() -> None:
    async with serve_raw(silence) as app:
        connection = await open_connection(app)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.ask(REQUEST, 10)
        assert not connection.usable
        with pytest.raises(LostError):
            await connection.ask(REQUEST, 10)


async def test_a_second_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async with serve_raw(answers(answer(b"1") + answer(b"2"))) as app:
        connection = await open_connection(app)
        assert (await connection.ask(REQUEST, 10)).body == b"1"
        with pytest.raises(LostError):
            await connection.ask(REQUEST, 10)
