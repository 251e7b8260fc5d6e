"""Every way in, with every hostile token and origin: refused everywhere, and told to nobody.

The tokens are those of test_auth.py, where each is held against the check itself; time stands still at `NOW` here too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from urllib.parse import quote

import pytest

from auth.test_authenticator import CANARY, GOOD, HOSTILE, key_server
from hubbub.clock import SYSTEM, replace_clock
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import Peer, Raw, open_raw
from support.key_server import NOW, SECRET, KeyServer
from support.waiting import PATIENCE

Open = Callable[[Server], Awaitable[Raw]]
Start = Callable[..., Awaitable[Server]]
Peers = Callable[..., Awaitable[Peer]]

__all__ = ["key_server"]  # a fixture

OPENING = (
    "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
ENDPOINTS = ["/v1/connect", "/skapi/connect"]


def request(path: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode("utf-8", "surrogatepass")


def in_url(path: str, token: str) -> bytes:
    return request(f"{path}?token={quote(token.encode('utf-8', 'surrogatepass'))}", OPENING)


def in_header(path: str, token: str) -> bytes:
    opening = OPENING if path in ENDPOINTS else "Host: localhost\r\n"
    return request(path, f"{opening}Authorization: Bearer {token}\r\n")


HTTP = {
    **{f"{path} in the URL": partial(in_url, path) for path in ENDPOINTS},
    **{f"{path} in the header": partial(in_header, path) for path in [*ENDPOINTS, "/v1/groups", "/v1/groups/g/users"]},
}
"""How a token can be sent with a request."""


@pytest.fixture
async def strict(key_server: KeyServer) -> AsyncIterator[Server]:
    """A server that takes tokens of both kinds and logs all it can, on the day for which they were made."""
    replace_clock(asyncio.get_running_loop(), SYSTEM._replace(unix_time=lambda: NOW))
    settings = Settings(
        port=0, secret=SECRET, jwks_url=key_server.url, issuer="issuer", audience="audience", access_log=True,
        rate_limit=0, identify_timeout=60,
    )  # fmt: skip
    async with Server(settings) as running:
        yield running


async def status(server: Server, data: bytes) -> tuple[int, bytes]:
    """Send a request on a connection of its own; return status and body of the answer."""
    raw = await open_raw(server)
    try:
        await raw.send(data)
        code, _, body = await raw.answer()
        return code, body
    finally:
        await raw.close()


@pytest.mark.parametrize("entrance", HTTP)
async def test_no_hostile_token_is_accepted_in_a_request(
    strict: Server, entrance: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    make, tried = HTTP[entrance], 0
    good, _ = await status(strict, make(GOOD))  # otherwise the rest would prove nothing
    assert good == (200 if "groups" in entrance else 101)
    for name, token in HOSTILE.items():
        if "header" in entrance and token.strip() == GOOD:
            continue  # white space around a header's value means nothing (RFC 9110, section 5.5)
        if "URL" in entrance and not token:
            continue  # the same as none, see below
        code, body = await status(strict, make(token))
        assert code in {400, 401, 431}, (name, code)
        assert_nothing_told(token, body.decode(), name)
        tried += 1
    assert tried >= 80
    for token in HOSTILE.values():
        assert_nothing_told(token, said(caplog), "log")
    _, metrics = await status(strict, request("/metrics", "Host: localhost\r\n"))
    assert CANARY not in metrics.decode()


async def test_no_hostile_token_is_accepted_in_a_command(
    strict: Server, peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer = await peers(strict)
    for name, token in HOSTILE.items():
        error = await peer.fail("connect", token=token)
        assert error["code"] in {"UNAUTHORIZED", "INVALID_PARAMETER"}, name
        assert_nothing_told(token, error["message"], name)
    assert (await peer.fail("join", group="g"))["code"] == "UNAUTHORIZED"
    assert len(HOSTILE) >= 80
    for token in HOSTILE.values():
        assert_nothing_told(token, said(caplog), "log")
    assert (await peer.do("connect", token=GOOD))["user_id"] == CANARY


async def test_an_empty_token_in_the_url_is_none(strict: Server, peers: Peers) -> None:
    peer = await peers(strict, query="?token=")
    assert (await peer.fail("groups"))["code"] == "UNAUTHORIZED"
    assert (await status(strict, in_url("/skapi/connect", "")))[0] == 401


def said(caplog: pytest.LogCaptureFixture) -> str:
    """Return what the server's side has logged."""
    clients = {"websockets.client", "asyncio"}
    return "\n".join(logging.Formatter().format(record) for record in caplog.records if record.name not in clients)


def assert_nothing_told(token: str, text: str, where: str) -> None:
    for part in (CANARY, *(part for part in token.split(".") if len(part) > 8)):
        assert part not in text, where


# --- origins ----------------------------------------------------------------------------------------------------------

ORIGINS = {
    "http://{own}": True,
    "HTTP://{own}": True,
    "https://{own}": True,  # behind a proxy that ends TLS
    "https://good.example": True,
    "http://localhost:3000": True,
    "https://good.example.": False,
    "https://GOOD.example": False,  # no browser writes it so (RFC 6454, section 6.2)
    "https://good.example:443": False,
    "https://good.example:444": False,
    "https://good.example/": False,
    "http://good.example": False,
    "wss://good.example": False,
    "https://a.good.example": False,
    "https://good.example.evil.example": False,
    "https://evil-good.example": False,
    "https://evil.example": False,
    "https://evil.example#https://good.example": False,
    "https://evil.example?https://good.example": False,
    "https://good.example@evil.example": False,
    "https://good.example, https://evil.example": False,
    "https://good.example https://evil.example": False,
    "http://{own}.evil.example": False,
    "http://{own}@evil.example": False,
    "http://evil.example#{own}": False,
    "http://127.0.0.1": True,  # the server accepts guests, and so pages of this machine
    "http://localhost:3001": True,
    "null": False,
    "": False,
    "*": False,
    "file://": False,
    "http://[": False,
}


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_origins(start: Start, raw: Open, path: str) -> None:
    server = await start(secret=SECRET, guests=True, origins=("https://good.example", "http://localhost:3000"))
    own = server.url.removeprefix("http://")
    assert len(ORIGINS) >= 25
    for template, allowed in ORIGINS.items():
        origin = template.format(own=own)
        before = server.node.counters.refused["FORBIDDEN"]
        headers = f"{OPENING.replace('localhost', own)}Origin: {origin}\r\n"
        async with asyncio.timeout(PATIENCE):
            code, body = await status(server, request(path, headers))
            while not allowed and server.node.refused_pages:
                await asyncio.sleep(0)
        refused = server.node.counters.refused["FORBIDDEN"]
        if not allowed:
            assert (code, refused) == (101, before + 1) or (code == 400 and "error" in json.loads(body)), origin
        else:
            assert refused == before, origin
            assert code == (101 if path == "/v1/connect" else 401), (
                origin,
                code,
            )  # the origin is right, the token lacks
