"""A banned user cannot connect through any node or endpoint, and a ticket works once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect

import hubbub
from hubbub.auth.bans import MAX_BAN
from hubbub.auth.identity import Identity
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.server import Server
from support.clients import SECRET, Peer, server_bearer, token
from support.faulty_proxy import FaultyProxy
from support.store import Store, free_port
from support.waiting import PATIENCE

Make = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["memory", "valkey"])
async def nodes(request: pytest.FixtureRequest, start: Make) -> Any:
    """Two nodes on Valkey; or one node, twice."""
    options = {"secret": SECRET, "guests": True}
    if request.param == "memory":
        one = await start(**options)
        yield one, one
        return
    with Store() as store:
        yield await start(backend=store.url(), **options), await start(backend=store.url(), **options)


async def ban(browse: Any, server: Server, user: str, seconds: int | None) -> dict[str, Any]:
    parameters = {} if seconds is None else {"for": str(seconds)}
    answer = await browse(server, headers=server_bearer()).delete(f"/v1/users/{user}", params=parameters)
    return {"status": answer.status_code, **answer.json()}


def ticket_of(server: Server, user: str) -> str:
    ticket = server.node.auth.tickets.issue(Identity(user, expires=server.node.auth._unix_time() + 3600), 0.0)
    assert ticket is not None
    return ticket


async def test_no_endpoint_accepts_a_banned_user(nodes: tuple[Server, Server], peers: Make, browse: Any) -> None:
    first, second = nodes
    eve: Peer = await peers(first, token=token("eve"))
    old = ticket_of(first, "eve")
    assert await ban(browse, second, "eve", 600) == {"status": 200, "disconnected": 1}
    assert await eve.closed() == Close.DISCONNECTED
    for server in nodes:
        peer: Peer = await peers(server)
        fresh = token("eve", iat=1)
        for credentials in ({"token": token("eve")}, {"token": fresh}, {"ticket": old}):
            refused = await peer.fail("connect", **credentials)
            assert refused["code"] == "FORBIDDEN"
            assert "banned" in refused["message"]
        for path, subprotocols in (("/v1/connect", ["hubbub.v1"]), ("/skapi/connect", None)):
            address = f"{server.url.replace('http', 'ws', 1)}{path}?token={fresh}"
            async with connect(address, subprotocols=subprotocols, proxy=None) as socket:  # type: ignore[arg-type]
                async with asyncio.timeout(PATIENCE):
                    await socket.wait_closed()
                assert socket.close_code == Close.DISCONNECTED
        await peers(server, token=token("ada"))
        assert list(server.node.fanout.users) == ["ada"]
    await ban(browse, first, "eve", 0)
    await peers(second, token=token("eve"))


async def test_guests_are_kept_out_by_their_id(server: Server, peers: Make) -> None:
    peer: Peer = await peers(server, guest="eve")
    await server.node.services.disconnect_user(Identity("", server=True), peer.welcome["user_id"], 600)
    assert await peer.closed() == Close.DISCONNECTED
    with pytest.raises(CommandError, match="FORBIDDEN"):
        async with hubbub.connect(server.url, guest="eve"):
            pass  # the Python client takes it for final


async def test_what_is_asked_wrongly(secured: Server, browse: Any, peers: Make) -> None:
    eve: Peer = await peers(secured, token=token("eve"))
    http = browse(secured, headers=server_bearer())
    for query in (f"for={MAX_BAN + 1}", "for=-1", "for=1.5", "for=", "for=x", "for=1&for=1", "until=1", "for=1e3"):
        answer = await http.delete(f"/v1/users/eve?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_PARAMETER"), query
    assert (await http.delete("/v1/connections/x?for=1")).status_code == 400
    assert (
        await browse(secured, headers={"Authorization": f"Bearer {token('eve')}"}).delete("/v1/users/eve?for=1")
    ).status_code == 403
    assert await eve.quiet()
    assert (await http.delete(f"/v1/users/eve?for={MAX_BAN}")).json() == {"disconnected": 1}


async def test_a_node_that_was_cut_off_meanwhile_puts_them_out_when_it_is_back(
    start: Make, peers: Make, browse: Any
) -> None:
    with Store() as store:
        async with FaultyProxy("127.0.0.1", store.port) as way:
            cut = await start(backend=way.url.replace("http", "valkey") + "/0", secret=SECRET)
            other = await start(backend=store.url(), secret=SECRET)
            eve: Peer = await peers(cut, token=token("eve"), group="hall")
            there, way.target = way.target, ("127.0.0.1", free_port())
            way.strike("rst")
            async with asyncio.timeout(PATIENCE):
                while cut.node.ready:
                    await asyncio.sleep(0.01)
            assert (await ban(browse, other, "eve", 600))["status"] == 200
            way.target = there
            assert await eve.closed() == Close.DISCONNECTED


async def test_a_ticket_is_taken_once_and_never_on_a_connection_that_has_a_token(
    nodes: tuple[Server, Server], peers: Make, browse: Any
) -> None:
    first, second = nodes
    wide = ticket_of(first, "eve")
    narrow: Peer = await peers(first, token=token("eve", groups=["a"]))
    refused = await narrow.fail("connect", ticket=wide)
    assert refused["code"] == "INVALID_REQUEST"
    assert (await narrow.fail("join", group="b"))["code"] == "FORBIDDEN"
    peer: Peer = await peers(second)
    await peer.do("connect", ticket=wide)
    again: Peer = await peers(first)
    assert (await again.fail("connect", ticket=wide))["code"] == "UNAUTHORIZED"
    await again.do("connect", token=token("eve"))
    dead = ticket_of(first, "eve")
    await ban(browse, second, "eve", None)
    late: Peer = await peers(first)
    assert (await late.fail("connect", ticket=dead))["code"] == "UNAUTHORIZED"
    await late.do("connect", token=token("eve"))  # it was a kick, nobody is kept out


async def test_a_ticket_has_the_rights_of_the_newest_token(secured: Server, peers: Make) -> None:
    eve: Peer = await peers(secured, token=token("eve"))
    await eve.do("connect", token=token("eve", groups=["a"]))
    session = next(iter(secured.node.sessions.values()))
    assert session.identity is not None
    await secured.node.drain()
    ticket = (await eve.event())["ticket"]
    assert secured.node.auth.tickets.check(ticket)[0].groups == ("a",)


async def test_without_the_store_a_ticket_is_unavailable(start: Make, peers: Make) -> None:
    with Store() as store:
        server = await start(backend=store.url(), secret=SECRET)
        peer: Peer = await peers(server)
        store.kill()
        async with asyncio.timeout(PATIENCE):
            while server.node.ready:
                await asyncio.sleep(0.01)
        refused = await peer.fail("connect", ticket=ticket_of(server, "eve"))
        assert refused["code"] == ErrorCode.UNAVAILABLE
