"""Connections that end: restarted servers, close codes, refusals, tokens; waiting calls are sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.server import ServerConnection

from client.conftest import WELCOME, Scripted, next_event
from hubbub.client import Client, Closed, Connected, Message, Problem, Reconnecting
from hubbub.errors import CommandError, ErrorCode
from hubbub.hub.hub import Hub
from hubbub.hub.types import Deny, User
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, token
from support.hub import serve
from support.waiting import PATIENCE

Make = Callable[..., Client]
Play = Callable[..., Awaitable[Scripted]]
SENT = {"type": "success", "message": "Message sent.", "recipients": 1}
JOINED = {"type": "success", "message": 'Joined realtime message group: "g".', "position": {"epoch": "e", "seq": 0}}
PAGE = {"list": [], "startKey": "end", "endOfList": True}


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


async def test_a_restarted_server_is_reconnected_to(clients: Make) -> None:
    async with Server(Settings(port=0)) as server:
        client = await clients(server, guest="alice")
        await client.join_realtime("kept")
        first = client.connection_id
    lost = await next_event(client, Reconnecting)
    assert (lost.code, lost.message) == (1001, "Reconnecting to WebSocket server...")
    assert lost.delay == 1.05  # from the restart notice
    assert (client.state, client.connection_id, client.group) == ("reconnecting", None, "kept")
    await next_event(client, Reconnecting)  # the first retry fails: nobody listens
    meanwhile = asyncio.create_task(client.post_realtime("posted while offline", "kept"))
    async with Server(Settings(port=port_of(server))):
        await next_event(client, Connected)
        assert (await meanwhile).recipients == 1
        assert (await next_event(client, Message)).message == "posted while offline"
        assert client.state == "connected"
        assert client.connection_id != first
        await client.close_realtime()


async def test_without_a_connect_timeout_the_client_waits_for_the_server(clients: Make) -> None:
    async with Server(Settings(port=0)) as server:
        pass
    client = clients(server, guest="early", connect_timeout=None)
    connecting = asyncio.create_task(client.connect_realtime())
    await asyncio.sleep(0)
    await next_event(client, Reconnecting)
    assert client.state == "connecting"
    async with Server(Settings(port=port_of(server))):
        await connecting
        assert client.user_id == "early"
        await client.close_realtime()


async def test_a_connect_timeout(clients: Make) -> None:
    async with Server(Settings(port=0)) as server:
        pass
    client = clients(server, guest="early", connect_timeout=0.05)
    with pytest.raises(CommandError, match=r"No connection within 0\.05 s: Cannot connect to ws://127.*refused|failed"):
        await client.connect_realtime()
    assert client.state == "closed"


async def test_calls_without_a_reply_are_sent_again_posts_with_the_same_key(scripted: Play, clients: Make) -> None:
    def script(command: dict[str, Any], connection: ServerConnection, number: int) -> Any:
        if command["do"] == "connect":
            return {"ok": WELCOME}
        if number == 2:
            return {"ok": {"join": JOINED, "groups": PAGE, "post": SENT}[command["do"]]}
        if command["do"] == "post":
            connection.transport.abort()  # with all three commands unanswered
        return None

    peer = await scripted(script)
    client = await clients(peer, guest="alice")
    joining = asyncio.create_task(client.join_realtime("g"))
    listing = asyncio.create_task(client.get_realtime_groups())
    await asyncio.sleep(0)  # both are asked before the post
    assert (await client.post_realtime("x", "g")).recipients == SENT["recipients"]
    assert (await joining).message == JOINED["message"]
    assert (await listing).list == []
    assert client.group == "g"
    assert [command["do"] for command in peer.commands] == [
        "connect",
        "join",
        "groups",
        "post",
        "connect",
        "join",
        "groups",
        "post",
    ]
    assert [command["id"] for command in peer.commands] == [1, 2, 3, 4, 1, 2, 3, 4]
    first, second = [command["key"] for command in peer.commands if command["do"] == "post"]
    assert first == second


@pytest.mark.parametrize("code", [4003, 4004, 1000, 1002, 1009])
async def test_close_codes_that_forbid_reconnecting(scripted: Play, clients: Make, code: int) -> None:
    def script(command: dict[str, Any], connection: ServerConnection, number: int) -> Any:
        if command["do"] == "connect":
            return {"ok": WELCOME}
        asyncio.get_running_loop().create_task(connection.close(code, "go away"))
        return None

    peer = await scripted(script)
    client = await clients(peer, guest="alice")
    with pytest.raises(CommandError, match="go away") as caught:
        await client.join_realtime("g")
    assert caught.value.code == ErrorCode.UNAVAILABLE
    events = [event async for event in client]
    assert events[0] == Connected()
    assert isinstance(events[1], Problem)
    assert events[1].code == code
    assert events[2:] == [Closed(code)]
    assert (client.state, peer.connections) == ("closed", 1)


async def test_a_refused_token_ends_it(secured: Server, clients: Make) -> None:
    client = clients(secured, token=token(secret="another secret, of 32 bytes or more"))
    with pytest.raises(CommandError) as caught:
        await client.connect_realtime()
    assert caught.value.code == ErrorCode.UNAUTHORIZED
    assert [event.type async for event in client] == ["error", "close"]


async def test_a_token_function_that_fails(secured: Server, clients: Make) -> None:
    def fail() -> str:
        raise OSError("no disk")

    client = clients(secured, token=fail)
    with pytest.raises(CommandError, match="no disk") as caught:
        await client.connect_realtime()
    assert caught.value.code == ErrorCode.UNAUTHORIZED


async def test_a_full_server_is_tried_again(start: Callable[..., Awaitable[Server]], clients: Make) -> None:
    server = await start(max_connections=1)
    await clients(server, guest="alice")
    late = clients(server, guest="bob", connect_timeout=0.05)
    with pytest.raises(CommandError, match="No connection within") as caught:
        await late.connect_realtime()
    assert caught.value.code == ErrorCode.UNAVAILABLE


async def test_a_new_token_is_sent_before_the_old_one_expires(
    start: Callable[..., Awaitable[Server]], clients: Make
) -> None:
    server = await start(secret=SECRET, leeway=0)
    asked = asyncio.Queue[int]()
    lifetimes = iter([2, 3600])

    def fresh() -> str:
        asked.put_nowait(0)
        return token("alice", next(lifetimes))

    client = await clients(server, token=fresh)
    first = client.connection_id
    await client.join_realtime("g")
    async with asyncio.timeout(PATIENCE):
        await asked.get()
        await asked.get()
    await client.join_realtime("h")  # answered after the new token was
    assert client.connection_id == first


async def test_an_expired_token_is_replaced_at_once(scripted: Play, clients: Make) -> None:
    def script(command: dict[str, Any], connection: ServerConnection, number: int) -> Any:
        if command["do"] == "connect":
            if number == 1:
                asyncio.get_running_loop().call_soon(asyncio.ensure_future, connection.close(4002, "expired"))
            return {"ok": {**WELCOME, "expires": time.time()}}
        return {"ok": PAGE}

    peer = await scripted(script)
    tokens = iter(["one", "two"])
    client = await clients(peer, token=lambda: next(tokens))
    lost = await next_event(client, Reconnecting)
    assert (lost.code, lost.delay) == (4002, 0)
    await next_event(client, Connected)
    assert [command["token"] for command in peer.commands] == ["one", "two"]


async def test_a_group_that_is_not_allowed_any_more_is_forgotten(scripted: Play, clients: Make) -> None:
    def script(command: dict[str, Any], connection: ServerConnection, number: int) -> Any:
        if command["do"] == "connect":
            return {"ok": WELCOME}
        if command["do"] == "join":
            return {"ok": JOINED} if number == 1 else {"error": {"code": "FORBIDDEN", "message": "not any more"}}
        if number == 1:
            connection.transport.abort()
            return None
        return {"error": {"code": "INVALID_REQUEST", "message": "not joined"}}

    peer = await scripted(script)
    client = await clients(peer, guest="alice")
    await client.join_realtime("g")
    with pytest.raises(CommandError, match="not joined"):
        await client.post_realtime("x", "g")
    assert (await next_event(client, Problem)).code == "FORBIDDEN"
    await next_event(client, Connected)
    assert client.group is None


async def test_a_token_that_is_not_a_string(secured: Server, clients: Make) -> None:
    client = clients(secured, token=lambda: 7)
    with pytest.raises(CommandError) as caught:
        await client.connect_realtime()
    assert caught.value.code == ErrorCode.INVALID_PARAMETER
    assert client.state == "closed"


# --- apps that say who the client is, and fresh rights ---


async def test_a_client_without_a_token_is_who_its_cookie_says(clients: Make) -> None:
    hub, team = Hub(), "red"

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        if "user" not in conn.cookies:
            raise Deny("Log in first.")
        return User(conn.cookies["user"], groups=[f"team-{team}"])

    async with serve(hub) as server:
        client = await clients(server, headers={"Cookie": "user=ada"})
        assert client.user_id == "ada"
        await client.join_realtime("team-red")
        other = await clients(server, headers=lambda: {"Cookie": "user=bob"})
        await other.join_realtime("team-red")
        first = client.connection_id
        renewing = asyncio.create_task(client.renew())
        await next_event(client, Reconnecting)
        await other.post_realtime("meanwhile", "team-red")
        await renewing
        assert (await next_event(client, Message)).message == "meanwhile"
        assert (client.state, client.group) == ("connected", "team-red")
        assert client.connection_id != first

        with pytest.raises(CommandError, match="Log in first") as refused:
            await clients(server)
        assert refused.value.code == ErrorCode.FORBIDDEN

        team = "blue"
        await client.renew()  # the group is not allowed any more; the connection is
        assert (await next_event(client, Problem)).code == ErrorCode.FORBIDDEN
        assert (client.state, client.group) == ("connected", None)


async def test_a_renewal_that_is_refused_ends_the_client(clients: Make) -> None:
    hub, cookies = Hub(), ["user=ada", "user="]

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        if not conn.cookies["user"]:
            raise Deny("Log in again.")
        return User(conn.cookies["user"])

    async def headers() -> dict[str, str]:
        return {"Cookie": cookies.pop(0)}

    async with serve(hub) as server:
        client = await clients(server, headers=headers)
        with pytest.raises(CommandError, match="Log in again"):
            await client.renew()
        await next_event(client, Closed)
        assert client.state == "closed"


async def test_a_token_is_renewed_on_the_spot(clients: Make) -> None:
    tokens = [token(groups=["a"]), token(groups=["a", "b"]), "refused"]
    async with Server(Settings(port=0, secret=SECRET)) as server:
        client = await clients(server, token=lambda: tokens.pop(0))
        first = client.connection_id
        with pytest.raises(CommandError, match="do not allow"):
            await client.join_realtime("b")
        await client.renew()
        await client.join_realtime("b")
        with pytest.raises(CommandError, match="token") as refused:
            await client.renew()
        assert refused.value.code == ErrorCode.UNAUTHORIZED
        assert (client.connection_id, client.state, client.group) == (first, "connected", "b")


async def test_what_cannot_be_renewed(clients: Make) -> None:
    async with Server(Settings(port=0)) as server:
        client = clients(server, guest="ada")
        with pytest.raises(CommandError, match="connect_realtime"):
            await client.renew()
        await client
        with pytest.raises(CommandError, match="guest"):
            await client.renew()
