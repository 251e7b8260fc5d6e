"""The handshake as on_connect gets it, where no ASGI server has made a scope."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import HTTPConnection

from hubbub.hub.calls import HookCalls
from hubbub.hub.registry import Registry
from hubbub.hub.types import User
from hubbub.server import Server
from hubbub.settings import Settings
from hubbub.transports.websocket.request_scope import handshake_connection
from support.clients import Peer

REQUEST = (
    b"GET /v1/connect%20here?team=red&team=blue HTTP/1.1\r\nhost: example.com\r\ncookie: user=ada; theme=dark\r\n"
    b"x-twice: 1\r\nx-twice: 2\r\nauthorization: Bearer app's own\r\n\r\n"
)


class Addresses(asyncio.BaseTransport):
    """A transport that knows where it is, or does not."""

    def __init__(self, **known: Any) -> None:
        super().__init__(known)


def test_a_request_becomes_a_connection() -> None:
    conn = handshake_connection(REQUEST, Addresses(peername=("10.0.0.1", 1234), sockname=("::1", 80, 0, 0)))
    assert conn.cookies == {"user": "ada", "theme": "dark"}
    assert conn.query_params.getlist("team") == ["red", "blue"]
    assert (conn.headers["authorization"], conn.headers.getlist("x-twice")) == ("Bearer app's own", ["1", "2"])
    assert conn.client is not None
    assert (conn.client.host, conn.client.port) == ("10.0.0.1", 1234)
    assert (conn.scope["type"], conn.scope["path"], conn.scope["scheme"]) == ("websocket", "/v1/connect here", "ws")
    assert conn.scope["server"] == ("::1", 80)


def test_without_addresses_and_with_tls() -> None:
    conn = handshake_connection(REQUEST, Addresses(sslcontext=object(), peername="/a/unix/socket"))
    assert (conn.client, conn.scope["scheme"]) == (None, "wss")


async def test_the_app_gets_it(peers: Callable[..., Awaitable[Peer]]) -> None:
    registry = Registry()

    @registry.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        return User(conn.headers["authorization"].removeprefix("Bearer "), name=conn.query_params["name"])

    settings = Settings(port=0)
    async with Server(settings, HookCalls(registry, settings)) as server:
        peer = await peers(server, query="?name=Ada", additional_headers={"Authorization": "Bearer ada"})
        assert (await peer.do("connect"))["user_id"] == "ada"
