"""Several servers in one test, on one real valkey-server: what clients on different nodes receive from each other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from hubbub.errors import SettingsError
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, Peer, server_bearer, token
from support.frames import GUEST_KEY
from support.store import Store

Start = Callable[..., Awaitable[Server]]
Peers = Callable[..., Awaitable[Peer]]


@pytest.fixture
async def two(start: Start, store: Store) -> tuple[Server, Server]:
    return await start(backend=store.url()), await start(backend=store.url())


def summary_of(event: dict[str, object]) -> tuple[object, ...]:
    return event["code"], event["sender"], event["user_connections"]


async def test_a_group_spans_nodes(two: tuple[Server, Server], peers: Peers) -> None:
    ada, bob = await peers(two[0], guest="ada", group="g"), await peers(two[1], guest="bob", group="g")
    assert summary_of(await ada.event()) == ("USER_JOINED", "bob", 1)
    assert (await bob.do("post", to="g", message={"n": 1}))["recipients"] == 2
    for peer in (ada, bob):
        event = await peer.event()
        assert (event["message"], event["sender"], event["seq"]) == ({"n": 1}, "bob", 1)
    assert (await ada.do("groups"))["list"] == [{"group": "g", "number_of_users": 2, "number_of_connections": 2}]
    assert [row["user_id"] for row in (await ada.do("users"))["list"]] == ["ada", "bob"]


async def test_leaving_switching_and_disconnecting_are_announced_on_the_other_node(
    two: tuple[Server, Server], peers: Peers
) -> None:
    ada, bob = await peers(two[0], guest="ada", group="g"), await peers(two[1], guest="bob", group="g")
    assert summary_of(await ada.event()) == ("USER_JOINED", "bob", 1)
    await bob.do("leave")
    assert summary_of(await ada.event()) == ("USER_LEFT", "bob", 0)
    await bob.do("join", group="g")
    assert summary_of(await ada.event()) == ("USER_JOINED", "bob", 1)
    await bob.do("join", group="other")
    assert summary_of(await ada.event()) == ("USER_LEFT", "bob", 0)
    await bob.do("join", group="g")
    assert summary_of(await ada.event()) == ("USER_JOINED", "bob", 1)
    await bob.socket.close()
    assert summary_of(await ada.event()) == ("USER_DISCONNECTED", "bob", 0)


async def test_a_second_connection_on_another_node_is_the_same_user(two: tuple[Server, Server], peers: Peers) -> None:
    eve = await peers(two[0], guest="eve", group="g")
    first, second = await peers(two[0], guest="ada", group="g"), await peers(two[1], guest="ada", group="g")
    assert [summary_of(await eve.event()) for _ in range(2)] == [("USER_JOINED", "ada", 1), ("USER_JOINED", "ada", 2)]
    assert (await eve.do("groups"))["list"] == [{"group": "g", "number_of_users": 2, "number_of_connections": 3}]
    assert (await eve.do("post", to="ada", message="hi"))["recipients"] == 2
    assert summary_of(await first.event()) == ("USER_JOINED", "ada", 2)
    for peer in (first, second):
        assert (await peer.event())["type"] == "private"
    await first.socket.close()
    assert summary_of(await eve.event()) == ("USER_DISCONNECTED", "ada", 1)


async def test_a_member_gets_no_notice_about_itself(two: tuple[Server, Server], peers: Peers) -> None:
    ada = await peers(two[0], guest="ada", group="g")
    await ada.do("join", group="g")
    await ada.do("join", group="h")
    await ada.do("leave")
    assert await ada.quiet()


async def test_connections_of_a_user_are_limited_over_all_nodes(start: Start, store: Store, peers: Peers) -> None:
    one, two = [await start(backend=store.url(), max_connections_per_user=1) for _ in range(2)]
    await peers(one, guest="ada")
    refused = await peers(two)
    await refused.socket.send(json.dumps({"id": 1, "do": "connect", "guest": "ada", "guest_key": GUEST_KEY}))
    assert await refused.closed() == 4004


async def test_server_programs_reach_everybody(
    start: Start, store: Store, peers: Peers, browse: Callable[..., httpx.AsyncClient]
) -> None:
    one, two = [await start(backend=store.url(), secret=SECRET) for _ in range(2)]
    ada = await peers(one, token=token("ada"), group="g")
    http = browse(two, headers=server_bearer())
    assert (await http.post("/v1/groups/g/messages", json={"message": 1})).json()["recipients"] == 1
    assert (await ada.event())["sender_cid"] is None
    assert (await http.post("/v1/users/ada/messages", json={"message": 2})).json()["recipients"] == 1
    assert (await ada.event())["type"] == "private"
    assert (await http.delete("/v1/users/ada")).json() == {"disconnected": 1}
    assert await ada.closed() == 4003


async def test_a_node_that_ends_takes_its_members_along(start: Start, store: Store, peers: Peers) -> None:
    one = await start(backend=store.url())
    ada = await peers(one, guest="ada", group="g")
    async with Server(Settings(port=0, backend=store.url(), shutdown_timeout=0, restart_grace=0.2)) as two:
        await peers(two, guest="bob", group="g")
        assert summary_of(await ada.event()) == ("USER_JOINED", "bob", 1)
    assert summary_of(await ada.event()) == ("USER_DISCONNECTED", "bob", 0)
    assert (await ada.do("groups"))["list"] == [{"group": "g", "number_of_users": 1, "number_of_connections": 1}]


async def test_nothing_stays_in_the_store_when_all_clients_have_left(start: Start, store: Store, peers: Peers) -> None:
    one = await start(backend=store.url(9), history_age=1)
    ada = await peers(one, guest="ada", group="g")
    await ada.do("post", to="g", message="soon forgotten")
    await ada.socket.close()
    bob = await peers(one, guest="bob")
    while await store.run("HLEN", "hubbub:{9.0}:w", database=9) != 1:
        await bob.do("groups")
    await bob.socket.close()
    while await store.run("HLEN", "hubbub:{9.0}:w", database=9) != 0:
        pass
    names = ("lives", "pulse", "run", "run:epoch", "schema", "secret", "window")
    lasting = [f"hubbub:{{9.0}}:{name}".encode() for name in names]
    while sorted(await store.run("KEYS", "*", database=9)) != lasting:
        await asyncio.sleep(0.05)


async def test_a_server_without_a_store_says_so(store: Store) -> None:
    with pytest.raises(SettingsError, match=r"backend: .*127\.0\.0\.1:1\b"):
        async with Server(Settings(port=0, backend="valkey://:hush@127.0.0.1:1")):
            pass
