"""Servers that misbehave, one documented outcome each; tokens, certificates, connections that are kept open."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hubbub import AsyncPublisher, CommandError
from hubbub.publisher.http_messages import MAX_ANSWER
from hubbub.server import Server
from support.clients import token
from support.store import free_port

OK = b'{"type":"success","message":"Message sent.","recipients":3}'


class Tricky:
    """An HTTP server whose behavior the first part of the path names.

    Attributes:
        asked: How many requests came, by that name.
        opened: How many connections.
        heads: The heads of all requests.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.opened = 0
        self.heads: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self._writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (line[15:] for line in head.split("\r\n") if line.lower().startswith("content-length")), 0
                )
                await reader.readexactly(int(length))
                trick = head.split("/")[1]
                self.asked[trick] += 1
                self.heads.append(head)
                for piece in self.pieces(trick, self.asked[trick]):
                    if isinstance(piece, float):
                        with suppress(TimeoutError):
                            async with asyncio.timeout(piece):
                                await self._over.wait()
                    elif piece is None:
                        writer.transport.abort()
                        return
                    else:
                        writer.write(piece)
                        await writer.drain()

    def pieces(self, trick: str, number: int) -> list[bytes | float | None] | Any:
        html = answer(b"<html>Welcome</html>", "Content-Type: text/html")
        forever: list[bytes | float | None] = [60.0]
        return {
            "ok": [answer(OK)],
            "html": [html],
            "html-404": [answer(b"<html>Not here</html>", status=404)],
            "null": [answer(b"null")],
            "list": [answer(b"[" * 100_000)],
            "not-utf8": [answer(b'{"type":"success","message":"\xff","recipients":3}')],
            "moved": [answer(b"", "Location: http://169.254.169.254/latest", status=302)],
            "huge": (answer(b"", length=10**12), *(b" " * 2**20 for _ in range(MAX_ANSWER // 2**20 + 2))),
            "gzip": [answer(OK, "Content-Encoding: gzip")],
            "garbage": [b"\0\1\2 SSH-2.0-OpenSSH\r\n\r\n", None],
            "head": [b"HTTP/1.1 200 OK\r\n", *(b"X-A: " + b"x" * 1000 + b"\r\n" for _ in range(200)), None],
            "silent": forever,
            "silent-for-20": forever if number <= 20 else [answer(OK)],
            "drip": [b"HTTP/1.1 200 OK\r\n", *(piece for _ in range(3000) for piece in (b"X-A: 1\r\n", 0.02))],
            "cut": [answer(OK, length=100), None],
            "reset": [None],
            "bad-gateway": [answer(b"<html>Bad gateway</html>", status=502)],
            "busy": [answer(error("RATE_LIMITED"), "Retry-After: 3600", status=429)],
            "full": [answer(error("UNAVAILABLE"), status=503)],
            "forbidden": [answer(error("FORBIDDEN"), status=403)],
            "later": [answer(error("NEW_CODE"), status=409)],
            "internal": [answer(error("INTERNAL"), status=500)],
            # The second attempt succeeds.
            "reset-once": [None] if number == 1 else [answer(OK)],
            "full-once": [answer(error("UNAVAILABLE"), "Retry-After: 0", status=503) if number == 1 else answer(OK)],
            "busy-once": [answer(b"", "Retry-After: 1", status=429) if number == 1 else answer(OK)],
            "renew": [answer(error("UNAUTHORIZED"), status=401) if number in {2, 4, 5} else answer(OK)],
        }[trick]

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def end(self) -> None:
        self._over.set()
        self.hang_up()


def answer(body: bytes, *headers: str, status: int = 200, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def error(code: str) -> bytes:
    return b'{"error":{"code":"%b","message":"Said by the server."}}' % code.encode()


@asynccontextmanager
async def tricky_server() -> AsyncIterator[Tricky]:
    tricky = Tricky()
    server = await asyncio.start_server(tricky.serve, "127.0.0.1", 0)
    tricky.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield tricky
    server.close()
    tricky.end()
    await asyncio.sleep(0)


@pytest.fixture
async def tricky() -> AsyncIterator[Tricky]:
    async with tricky_server() as server:
        yield server


OUTCOMES = {
    "html": ("INTERNAL", "does not answer like a Hubbub server"),
    "html-404": ("INTERNAL", "(HTTP status 404)"),
    "null": ("INTERNAL", 'check the "url"'),
    "list": ("INTERNAL", 'check the "url"'),
    "not-utf8": ("INTERNAL", 'check the "url"'),
    "moved": ("INVALID_REQUEST", "redirects to http://169.254.169.254/latest (HTTP status 302)"),
    "huge": ("INTERNAL", "the answer has more than 16777216 bytes"),
    "gzip": ("INTERNAL", "the answer is compressed"),
    "garbage": ("INTERNAL", "illegal"),
    "forbidden": ("FORBIDDEN", "Said by the server."),
    "later": ("NEW_CODE", "Said by the server."),
    "internal": ("INTERNAL", "Said by the server."),
    "busy": ("RATE_LIMITED", "Said by the server."),
}
"""What fails at once."""

REPEATED = {
    "bad-gateway": "answered with HTTP status 502. Tried ",
    "full": "Said by the server. Tried ",
    "reset": "Cannot reach http://127.0.0.1",
    "cut": "Cannot reach http://127.0.0.1",
    "head": "Cannot reach http://127.0.0.1",
}
"""What fails after attempts for as long as the call may take."""


async def failure(url: str, timeout: float = 5.0, **options: Any) -> CommandError:
    async with AsyncPublisher(url, token="t", timeout=timeout, **options) as publisher:
        with pytest.raises(CommandError) as caught:
            await publisher.post("g", 1)
    return caught.value


async def test_answers_that_end_the_call(tricky: Tricky) -> None:
    failures = await asyncio.gather(*(failure(f"{tricky.url}/{trick}") for trick in OUTCOMES))
    for found, (trick, (code, text)) in zip(failures, OUTCOMES.items(), strict=True):
        assert found.code == code, (trick, found)
        assert text in found.message, (trick, found)
        assert tricky.asked[trick] == 1


async def test_answers_that_are_asked_for_again(tricky: Tricky) -> None:
    failures = await asyncio.gather(*(failure(f"{tricky.url}/{trick}", 1.0) for trick in REPEATED))
    for found, (trick, text) in zip(failures, REPEATED.items(), strict=True):
        assert found.code == "UNAVAILABLE", (trick, found)
        assert text in found.message, (trick, found)
        assert 2 <= tricky.asked[trick] < 30


@pytest.mark.parametrize("trick", ["silent", "drip"])
async def test_no_answer_in_time(tricky: Tricky, trick: str) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await failure(f"{tricky.url}/{trick}", 0.3)
    assert (found.code, "did not answer within 0.3 s" in found.message) == ("UNAVAILABLE", True)
    assert loop.time() - began < 20  # those servers would go on for a minute


async def test_nobody_listens() -> None:
    found = await failure(f"http://127.0.0.1:{free_port()}", 1.0)
    assert found.code == "UNAVAILABLE"
    assert "Cannot reach http://127.0.0.1:" in found.message
    assert "Tried" in found.message


@pytest.mark.parametrize("trick", ["reset-once", "full-once", "busy-once"])
async def test_a_second_attempt(tricky: Tricky, trick: str) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with AsyncPublisher(f"{tricky.url}/{trick}", token="t") as publisher:
        assert (await publisher.post("g", 1)).recipients == 3
    assert tricky.asked[trick] == 2
    assert loop.time() - began >= (1 if trick == "busy-once" else 0)  # Retry-After


async def test_connections_are_kept_open_and_replaced(tricky: Tricky) -> None:
    async with AsyncPublisher(f"{tricky.url}/ok", token="t") as publisher:
        for _ in range(5):
            await publisher.post("g", 1)
        assert tricky.opened == 1
        tricky.hang_up()
        assert (await publisher.post("g", 1)).recipients == 3
        assert tricky.opened == 2
        await asyncio.gather(*(publisher.post("g", 1) for _ in range(100)))
        assert tricky.opened <= 22


async def test_connections_of_calls_that_were_given_up_are_free_again(tricky: Tricky) -> None:
    async with AsyncPublisher(f"{tricky.url}/silent-for-20", token="t", timeout=0.5) as publisher:
        gave_up = await asyncio.gather(*(publisher.post("g", 1) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(each, CommandError) for each in gave_up)
        assert tricky.asked["silent-for-20"] == 20  # on all connections that it may have
        assert (await publisher.post("g", 1)).recipients == 3


async def test_a_token_function_is_called_again_when_the_token_has_ended(tricky: Tricky) -> None:
    tokens = iter(["one", "two", "three"])
    async with AsyncPublisher(f"{tricky.url}/renew", token=lambda: next(tokens)) as publisher:
        await publisher.post("g", 1)
        await publisher.post("g", 1)  # refused, and done with another token
        with pytest.raises(CommandError, match="UNAUTHORIZED"):
            await publisher.post("g", 1)  # refused twice
    used = [line for head in tricky.heads for line in head.split("\r\n") if line.startswith("Authorization")]
    assert [line.split()[-1] for line in used] == ["one", "one", "two", "two", "three"]


async def test_a_token_function_that_fails(tricky: Tricky) -> None:
    def fail() -> str:
        raise LookupError("no key")

    async def slow() -> str:
        return "from a coroutine"

    async with AsyncPublisher(f"{tricky.url}/ok", token=fail) as publisher:
        with pytest.raises(CommandError, match=r"UNAUTHORIZED.*LookupError\('no key'\)"):
            await publisher.post("g", 1)
    async with AsyncPublisher(f"{tricky.url}/ok", token="a\nb") as publisher:
        with pytest.raises(CommandError, match="printable ASCII"):
            await publisher.post("g", 1)
    async with AsyncPublisher(f"{tricky.url}/ok", token=slow) as publisher:
        await publisher.post("g", 1)
    assert "Bearer from a coroutine" in tricky.heads[0]


async def test_tokens_of_real_servers(secured: Server) -> None:
    for wrong, code in (("x", "UNAUTHORIZED"), (token("ada"), "FORBIDDEN")):
        async with AsyncPublisher(secured.url, token=wrong) as publisher:
            with pytest.raises(CommandError) as caught:
                await publisher.post("g", 1)
            assert caught.value.code == code
    async with AsyncPublisher(secured.url) as publisher:
        with pytest.raises(CommandError, match="UNAUTHORIZED: A server token is missing"):
            await publisher.post("g", 1)


async def test_a_guest_server_lists_without_a_token(server: Server) -> None:
    async with AsyncPublisher(server.url) as publisher:
        assert (await publisher.groups()).list == []


async def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    made = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem",
        "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    tricky = Tricky()
    async with await asyncio.start_server(tricky.serve, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/ok"
        found = await failure(url)
        assert found.code == "UNAVAILABLE"
        assert "certificate verify failed" in found.message
        assert "Tried" not in found.message
        trusting = ssl.create_default_context(cafile=tmp_path / "c.pem")
        async with AsyncPublisher(url, token="t", tls=trusting) as publisher:
            assert (await publisher.post("g", 1)).recipients == 3
