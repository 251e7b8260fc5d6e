"""WebSockets of an app on our own server, before a hub or uvicorn's class has them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from hubbub import Hub
from hubbub.app_server import AppServer, AppSettings
from support.clients import SECRET, token
from support.waiting import PATIENCE

UPGRADE = (
    b"GET /v1/connect HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


OFFERED = [Subprotocol("other"), Subprotocol("hubbub.v1")]


class App:
    """A hub, and what happens to each WebSocket before it reaches the hub."""

    def __init__(self) -> None:
        self.hub = Hub(secret=SECRET)
        self.scopes: list[Any] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await self.hub(scope, receive, send)
            return
        self.scopes.append(scope)
        await self.go_on.wait()
        if scope["path"] == "/raises":
            raise ZeroDivisionError
        if scope["path"] == "/returns":
            return
        if scope["query_string"] == b"reads":  # middleware that takes the first message itself
            first = await receive()

            async def again() -> Any:
                nonlocal first
                message, first = first, None
                return message or await receive()

            await self.hub(scope, again, send)
        else:
            await self.hub(scope, receive, send)


async def test_the_scope_is_an_ordinary_one() -> None:
    app = App()
    async with AppServer(app, AppSettings(port=0)) as server:
        address = server.url.replace("http", "ws", 1) + "/v1/connect?a=%20b"
        async with connect(address, additional_headers={"X-Test": "yes"}, proxy=None, subprotocols=OFFERED):
            pass
    (scope,) = app.scopes
    assert scope["path"] == "/v1/connect"
    assert scope["raw_path"] == b"/v1/connect"
    assert scope["query_string"] == b"a=%20b"
    assert (b"x-test", b"yes") in scope["headers"]
    assert scope["subprotocols"] == ["other", "hubbub.v1"]
    assert scope["client"][0] == "127.0.0.1"
    assert (scope["scheme"], scope["type"], scope["state"]) == ("ws", "websocket", {})


@pytest.mark.parametrize("path", ["/raises", "/returns"])
async def test_an_app_that_fails_before_it_has_decided(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with AppServer(App(), AppSettings(port=0)) as server:
        with caplog.at_level(logging.ERROR), pytest.raises(InvalidStatus) as refused:
            await connect(server.url.replace("http", "ws", 1) + path, proxy=None)
        assert refused.value.response.status_code == 500
    assert ("ZeroDivisionError" in caplog.text) == (path == "/raises")


async def test_middleware_that_has_read_makes_the_connection_one_through_asgi() -> None:
    async with (
        AppServer(App(), AppSettings(port=0)) as server,
        connect(server.url.replace("http", "ws", 1) + "/v1/connect?reads", proxy=None) as client,
    ):
        await client.send(f'{{"id":1,"do":"connect","token":"{token("ada")}"}}')
        assert '"ada"' in str(await asyncio.wait_for(client.recv(), PATIENCE))


async def test_frames_that_come_before_the_app_has_decided_are_kept() -> None:
    app = App()
    app.go_on.clear()
    async with AppServer(app, AppSettings(port=0)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        ping = b"\x89\x80\0\0\0\0"
        writer.write(UPGRADE + b"\r\n" + ping)
        while not app.scopes:
            await asyncio.sleep(0.001)
        app.go_on.set()
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\x8a\x00"
        writer.close()


async def test_too_many_of_them_and_a_client_that_leaves() -> None:
    app = App()
    app.go_on.clear()
    async with AppServer(app, AppSettings(port=0)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(UPGRADE + b"\r\n")
        while not app.scopes:
            await asyncio.sleep(0.001)
        writer.write(b"x" * 10_000)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
        app.go_on.set()  # the app finds out that the connection is lost
        async with connect(server.url.replace("http", "ws", 1) + "/v1/connect", proxy=None):
            node = app.hub._lifecycle.running()
            assert len(node.sessions) == 1


@pytest.mark.parametrize(("line", "status"), [(b"Sec-WebSocket-Version: 12", 426), (b"Sec-WebSocket-Key: short", 400)])
async def test_a_wrong_upgrade_does_not_reach_the_app(line: bytes, status: int) -> None:
    app = App()
    async with AppServer(app, AppSettings(port=0)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        name = line.partition(b":")[0]
        head = b"\r\n".join(line if each.startswith(name) else each for each in UPGRADE.split(b"\r\n"))
        writer.write(head + b"\r\n")
        async with asyncio.timeout(PATIENCE):
            assert f" {status} ".encode() in await reader.readline()
        writer.close()
    assert app.scopes == []
