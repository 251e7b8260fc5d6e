"""What holds for a mounted hub, however the app is run: a class of tests, for modules with a fixture ``way``."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from support.clients import Peer, server_bearer, token
from support.waiting import PATIENCE


@dataclass
class Way:
    """An app that runs.

    Attributes:
        url: Its address.
        tier: What the metrics of the hub must say.
        lifespan: Whether the server runs the app's lifespan; otherwise the first use starts the hub.
        reserved_codes: Whether the server closes with codes such as 1009, and with a reason.
        waits: Whether the server makes the app wait for a slow client.
        reads_refusals: Whether the server passes the status and body of a refused handshake on.
    """

    url: str
    tier: int
    lifespan: bool = True
    reads_refusals: bool = True
    reserved_codes: bool = True
    waits: bool = True

    @property
    def websockets(self) -> str:
        """The address, for WebSockets."""
        return self.url.replace("http", "ws", 1)


Open = Callable[..., Awaitable[Peer]]


class MountedContract:
    """The tests. `way` is a fixture of the class that inherits them."""

    @pytest.fixture
    async def http(self, way: Way) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=way.url, trust_env=False, verify=False) as client:
            yield client

    @pytest.fixture
    async def opened(self, way: Way) -> AsyncIterator[Open]:
        """Open connections: ``await opened(name="ada", group="team-a")`` logs in with a cookie and joins."""
        async with AsyncExitStack() as stack:

            async def open_one(
                *, name: str | None = None, group: str | None = None, path: str = "/realtime/v1/connect", **options: Any
            ) -> Peer:
                headers = dict(options.pop("headers", {}))
                if name is not None:
                    headers["cookie"] = await log_in(way, name)
                peer = Peer(
                    await connect(
                        way.websockets + path,
                        subprotocols=[Subprotocol("hubbub.v1")],
                        proxy=None,
                        max_queue=None,
                        additional_headers=headers,
                        **options,
                    )
                )
                stack.push_async_callback(peer.socket.close)
                if name is not None:
                    peer.welcome = await peer.do("connect")
                if group is not None:
                    await peer.do("join", group=group)
                return peer

            yield open_one

    # --- messages ---

    async def test_members_hear_a_post_in_order_and_see_who_joins(self, opened: Open) -> None:
        ada, bob = await opened(name="ada", group="team-a"), await opened(name="bob", group="team-a")
        assert (await ada.event())["code"] == "USER_JOINED"
        for number in range(100):
            await bob.socket.send(json.dumps({"do": "post", "to": "team-a", "message": {"number": number}}))
        for peer in (ada, bob):
            assert [(await peer.event())["message"]["number"] for _ in range(100)] == list(range(100))
        await bob.socket.close()
        assert (await ada.event())["code"] == "USER_DISCONNECTED"

    async def test_a_private_message_and_listings(self, opened: Open) -> None:
        ada, bob = await opened(name="ada", group="team-a"), await opened(name="bob")
        assert (await bob.do("post", to={"user_id": "ada"}, message="psst"))["recipients"] == 1
        assert (await ada.event())["message"] == "psst"
        assert [row["group"] for row in (await bob.do("groups"))["list"]] == ["team-a"]
        assert [row["user_id"] for row in (await ada.do("users"))["list"]] == ["ada"]

    async def test_big_messages(self, opened: Open) -> None:
        ada, bob = await opened(name="ada", group="team-a"), await opened(name="bob", group="team-a")
        text = "x" * 60_000
        await bob.do("post", to="team-a", message=text)
        await ada.event()
        assert (await ada.event())["message"] == text

    async def test_the_subprotocol_is_answered(self, opened: Open) -> None:
        assert (await opened()).socket.subprotocol == "hubbub.v1"

    # --- the app around it ---

    async def test_on_connect_sees_the_cookie_the_state_and_the_path(self, way: Way, opened: Open) -> None:
        ada = await opened(name="ada", group="team-echo")
        await ada.do("post", to="team-echo", message=1)
        state = "from the lifespan" if way.lifespan else "without"
        assert (await ada.event())["message"] == {"message": 1, "data": f"{state}, /realtime/v1/connect"}

    async def test_a_refusal_of_the_app_can_be_read(self, opened: Open) -> None:
        peer = await opened()
        assert await peer.fail("connect") == {"code": "FORBIDDEN", "message": "Log in first."}

    async def test_rights_are_those_of_the_app(self, opened: Open) -> None:
        ada = await opened(name="ada")
        assert (await ada.fail("join", group="others"))["code"] == "FORBIDDEN"

    async def test_a_token_where_the_app_says_that_it_does_not_know(self, opened: Open) -> None:
        peer = await opened(headers={"ask-for-token": "1"})
        assert (await peer.do("connect", token=token("carol")))["user_id"] == "carol"

    async def test_the_routes_of_the_app_still_work(self, way: Way, http: httpx.AsyncClient) -> None:
        cookie = await log_in(way, "ada")
        assert (await http.get("/hello", headers={"cookie": cookie})).json()["name"] == "ada"
        assert (await http.get("/elsewhere")).status_code == 404
        async with connect(way.websockets + "/echo", proxy=None, additional_headers={"cookie": cookie}) as echo:
            assert await echo.recv() == "hello ada"
            for text in ("one", "two " * 20_000):
                await echo.send(text)
                assert await echo.recv() == text

    async def test_a_websocket_that_the_app_refuses(self, way: Way) -> None:
        for path in ("/refuses", "/nowhere"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(way.websockets + path, proxy=None)
            assert refused.value.response.status_code == 403

    async def test_the_app_posts(self, http: httpx.AsyncClient, opened: Open) -> None:
        cook = await opened(name="cook", group="team-kitchen")
        assert (await http.post("/orders/7")).json() == {"recipients": 1}
        event = await cook.event()
        assert (event["message"], event["sender"], event["sender_cid"]) == ({"order": 7}, "server", None)

    async def test_two_hubs_do_not_disturb_each_other(self, opened: Open) -> None:
        ada = await opened(name="ada", group="team-a")
        bob = await opened(path="/second/v1/connect")
        await bob.do("connect", token=token("bob"))
        await bob.do("join", group="team-a")
        assert (await bob.do("post", to="team-a", message=1))["recipients"] == 1
        assert await ada.quiet()
        assert (await bob.do("post", to={"user_id": "ada"}, message=1))["recipients"] == 0

    # --- HTTP below the path ---

    async def test_the_http_api(self, http: httpx.AsyncClient, opened: Open) -> None:
        ada = await opened(name="ada", group="team-a/b")
        path = "/realtime/v1/groups/team-a%2Fb"
        sent = await http.post(f"{path}/messages", headers=server_bearer(), json={"message": "over HTTP"})
        assert sent.json()["recipients"] == 1
        assert (await ada.event())["message"] == "over HTTP"
        rows = (await http.get(f"{path}/users", headers=server_bearer())).json()["list"]
        assert [row["user_id"] for row in rows] == ["ada"]
        assert (await http.delete("/realtime/v1/users/ada", headers=server_bearer())).json() == {"disconnected": 1}
        assert await ada.closed() == 4003

    async def test_everything_knows_its_path(self, way: Way, http: httpx.AsyncClient) -> None:
        assert (await http.get("/realtime/openapi.json")).json()["servers"] == [{"url": "/realtime"}]
        assert "export" in (await http.get("/realtime/hubbub.js")).text
        assert f"'{way.url}/realtime'" in (await http.get("/realtime/point_skapi.js")).text
        assert (await http.get("/realtime/readyz")).json()["ready"]
        assert (await http.get("/realtime/nothing")).json()["error"]["code"] == "INVALID_REQUEST"
        assert (await http.get("/realtime/v1/groups")).status_code == 401

    async def test_the_metrics_name_the_tier(self, way: Way, http: httpx.AsyncClient, opened: Open) -> None:
        await opened(name="ada")
        lines = (await http.get("/realtime/metrics")).text.splitlines()
        assert [f'tier="{way.tier}"' in line for line in lines if line.startswith("hubbub_info{")] == [True]

    # --- limits ---

    async def test_a_page_of_another_origin_is_told(self, way: Way) -> None:
        async with connect(
            f"{way.websockets}/realtime/v1/connect", origin=Origin("https://evil.example"), proxy=None
        ) as page:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(page.recv(), PATIENCE)
        assert page.close_code == 4008
        if way.reserved_codes:  # the same server leaves reasons out
            assert "https://evil.example" in (page.close_reason or "")

    async def test_a_path_without_a_dialect(self, way: Way) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(way.websockets + "/realtime/v9/connect", proxy=None)
        assert refused.value.response.status_code == (404 if way.reads_refusals else 403)

    async def test_a_client_that_does_not_identify_itself(self, opened: Open) -> None:
        peer = await opened()
        assert (await peer.fail("join", group="team-a"))["code"] == "UNAUTHORIZED"

    @pytest.mark.parametrize(("sent", "code"), [("x" * 200_000, 1009), (b"binary", 1003)])
    async def test_frames_that_are_refused(self, way: Way, opened: Open, sent: str | bytes, code: int) -> None:
        peer = await opened(name="ada")
        await peer.socket.send(sent)
        assert await peer.closed() == (code if way.reserved_codes else 1000)

    async def test_frames_that_are_no_commands(self, opened: Open) -> None:
        peer = await opened(name="ada")
        for text in ("", "[]", '{"do":"dance"}', '{"id":1,"do":"join","group":7}'):
            await peer.socket.send(text)
            assert "error" in await peer.frame()
        await peer.do("groups")

    @pytest.mark.parametrize(
        ("frame", "codes"),
        [
            (b"\x81\x05hello", {1002, 1006}),  # not masked
            (b"\xf1\x80\0\0\0\0", {1002, 1006}),  # bits that nobody uses
            (b"\x83\x80\0\0\0\0", {1002, 1006}),  # a kind of frame that does not exist
            (b"\x81\x82\0\0\0\0\xff\xfe", {1007, 1006}),  # not UTF-8
        ],
    )
    async def test_malformed_frames_end_their_own_connection_only(
        self, way: Way, opened: Open, frame: bytes, codes: set[int]
    ) -> None:
        ada = await opened(name="ada", group="team-a")
        raw = await raw_websocket(way)
        raw.write(frame)
        assert await raw.close_code() in codes
        await ada.do("post", to="team-a", message=1)

    async def test_a_slow_reader_is_cut_and_nobody_else_notices(
        self, way: Way, http: httpx.AsyncClient, opened: Open
    ) -> None:
        ada, bob = await opened(name="ada", group="team-a"), await opened(name="bob", group="team-a")
        if not way.waits:
            pytest.skip("this server keeps all that a slow client has not read: see docs/operations/hub-servers.md")
        slow = await raw_websocket(way, cookie=await log_in(way, "slow"), buffer=4096)
        slow.send_text('{"do":"connect"}')
        slow.send_text('{"do":"join","group":"team-a"}')
        while (await ada.event()).get("sender") != "slow":
            pass
        text = "x" * 60_000
        async with asyncio.timeout(PATIENCE):
            for number in range(1000):
                await bob.do("post", to="team-a", message=[number, text])
                while (event := await ada.event())["type"] != "message":
                    pass
                assert event["message"] == [number, text]
                bob.events.clear()
                if number % 10 == 9 and "hubbub_queue_cuts_total 1.0" in (await http.get("/realtime/metrics")).text:
                    break
                await asyncio.sleep(0.012)  # the rate that a connection may send at
        left = await ada.event()
        assert left["code"] == "USER_DISCONNECTED", left
        slow.writer.transport.abort()


async def log_in(way: Way, name: str) -> str:
    """Return the cookie of a user."""
    async with httpx.AsyncClient(base_url=way.url, trust_env=False, verify=False) as client:
        return (await client.post("/login", params={"name": name})).headers["set-cookie"].partition(";")[0]


@dataclass
class RawWebSocket:
    """A WebSocket whose frames are made by hand, and which reads nothing by itself."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    def send_text(self, text: str) -> None:
        """Send a text frame."""
        self.write(text_frame(text))

    async def close_code(self) -> int:
        """Read to the close frame, and return its code; 1006 if the connection ends without one."""
        data = b""
        try:
            async with asyncio.timeout(PATIENCE):
                while piece := await self.reader.read(65_536):
                    data += piece
                    if found := re.search(rb"\x88[\x02-\x7d]([\x03\x0f].)", data, re.DOTALL):
                        return int.from_bytes(found[1], "big")
        except ConnectionResetError:
            pass
        finally:
            self.writer.transport.abort()
        return 1006


def text_frame(text: str) -> bytes:
    """Return a masked text frame of less than 126 bytes."""
    data = text.encode()
    return bytes((0x81, 0x80 | len(data))) + b"\0\0\0\0" + data


async def raw_websocket(way: Way, *, cookie: str = "", buffer: int | None = None) -> RawWebSocket:
    """Open a WebSocket. `buffer` is how many bytes the system may receive before they are read."""
    port = int(way.url.rpartition(":")[2])
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=client, limit=4096)
    writer.write(
        f"GET /realtime/v1/connect HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Cookie: {cookie}\r\n\r\n".encode()
    )
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head.partition(b"\r\n")[0], head
    return RawWebSocket(reader, writer)
