"""Connections to an app that are kept open, and what happens when the app closes them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hubbub.http_hooks import pool as pool_module
from hubbub.http_hooks.connection import LostError
from hubbub.http_hooks.pool import Pool
from support.certificate import make_certificate
from support.raw_app import answer, answers, serve_raw

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_connection_is_used_again() -> None:
    async with serve_raw(answers(answer(b"1"))) as app:
        pool = Pool(app.url)
        for _ in range(5):
            assert (await pool.ask(REQUEST)).body == b"1"
        assert app.connections == 1
        await asyncio.gather(*(pool.ask(REQUEST) for _ in range(7)))
        assert app.connections == 7
        pool.close()


async def test_a_kept_connection_that_the_app_has_closed() -> None:
    async with serve_raw(answers(answer(b"1"))) as app:
        pool = Pool(app.url)
        await pool.ask(REQUEST)
        app.behave = answers(close=True)  # closes the connection instead of an answer
        with pytest.raises(LostError):
            await pool.ask(REQUEST)
        assert (app.connections, len(app.requests)) == (2, 3)  # it was sent once more, on a new connection
        app.behave = answers(answer(b"2"))
        assert (await pool.ask(REQUEST)).body == b"2"
        app.cut()
        assert (await pool.ask(REQUEST)).body == b"2"
        pool.close()


async def test_half_an_answer_is_not_asked_for_again() -> None:
    async with serve_raw(answers(answer(b"1"))) as app:
        pool = Pool(app.url)
        await pool.ask(REQUEST)
        app.behave = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", close=True)
        with pytest.raises(LostError):
            await pool.ask(REQUEST)
        assert len(app.requests) == 2
        pool.close()


async def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE", 0.05)
    async with serve_raw(answers(answer(b"1"))) as app:
        pool = Pool(app.url)
        await asyncio.gather(*(pool.ask(REQUEST) for _ in range(3)))
        async with asyncio.timeout(30):
            while pool._idle or pool._open:
                await asyncio.sleep(0.01)
        assert (await pool.ask(REQUEST)).body == b"1"
        pool.close()


async def test_an_app_that_does_not_listen() -> None:
    with pytest.raises(LostError):
        await Pool("http://127.0.0.1:1/").ask(REQUEST)


async def test_https_with_a_known_and_an_unknown_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = make_certificate(tmp_path, "localhost")
    async with serve_raw(answers(answer(b"1")), tls) as app:
        for url in (app.url, app.url.replace("localhost", "127.0.0.1")):
            with pytest.raises(LostError, match="certificate"):
                await Pool(url).ask(REQUEST)
        assert app.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        pool = Pool(app.url)
        assert (await pool.ask(REQUEST)).body == b"1"
        pool.close()
        with pytest.raises(LostError, match="certificate"):  # it is one for another name
            await Pool(app.url.replace("localhost", "127.0.0.1")).ask(REQUEST)


async def test_https_to_a_server_without_tls() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(rude, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LostError):
            await Pool(f"https://127.0.0.1:{port}/").ask(REQUEST)


async def test_the_end_of_a_pool_ends_its_connections() -> None:
    async with serve_raw(answers(answer(b"1"))) as app:
        pool = Pool(app.url)
        await pool.ask(REQUEST)
        pool.close()
        assert not pool._open
