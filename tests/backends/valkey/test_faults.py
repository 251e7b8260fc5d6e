"""Faults of a node and of the store: killed, frozen, restarted, cut off, emptied. All faults are real."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.messages import UserRow
from hubbub.server import Server
from support.clients import Peer
from support.store import Store

Start = Callable[..., Awaitable[Server]]
Peers = Callable[..., Awaitable[Peer]]
ROW = {"group": "g", "number_of_users": 2, "number_of_connections": 2}


@pytest.fixture
async def own_store() -> AsyncIterator[Store]:
    """A server for one test, which may damage it."""
    with Store() as running:
        yield running


@pytest.fixture
async def two(start: Start, own_store: Store) -> tuple[Server, Server]:
    return await start(backend=own_store.url()), await start(backend=own_store.url())


@pytest.fixture
async def pair(two: tuple[Server, Server], peers: Peers) -> tuple[Peer, Peer]:
    """Two users in one group, on two nodes."""
    ada, bob = await peers(two[0], guest="ada", group="g"), await peers(two[1], guest="bob", group="g")
    assert (await ada.event())["code"] == "USER_JOINED"
    return ada, bob


async def healed(*peers: Peer) -> None:
    """Wait until each may list groups again."""
    for peer in peers:
        while "error" in await peer.ask("groups"):
            await asyncio.sleep(0.01)


async def nothing_has_changed(ada: Peer, bob: Peer, *, forgotten: bool = False) -> None:
    """Check that both are still members, receive messages, and got nothing else but gaps if the store was emptied."""
    assert (await ada.do("groups"))["list"] == [ROW]
    assert [row["user_id"] for row in (await bob.do("users"))["list"]] == ["ada", "bob"]
    assert (await ada.do("post", to="g", message="still here"))["recipients"] == 2
    for peer in (ada, bob):
        gaps = [await peer.event() for _ in range(2 * forgotten)]
        assert [(gap["type"], gap["sender_rid"], gap["position"]["seq"]) for gap in gaps] == [
            ("gap", "g", 0),
            ("gap", None, 0),
        ][: len(gaps)]
        assert (await peer.event())["message"] == "still here"


@pytest.mark.alone
async def test_a_store_that_restarts_empty_is_filled_again_without_notices(
    own_store: Store, pair: tuple[Peer, Peer]
) -> None:
    own_store.kill()
    for peer in pair:
        began = time.monotonic()
        assert (await peer.fail("post", to="g", message=1))["code"] == "UNAVAILABLE"
        assert (await peer.fail("join", group="h"))["code"] == "UNAVAILABLE"
        assert time.monotonic() - began < 2
    own_store.start()
    began = time.monotonic()
    await healed(*pair)
    assert time.monotonic() - began < 2
    await nothing_has_changed(*pair, forgotten=True)


@pytest.mark.alone
async def test_a_frozen_store_fails_commands_in_time_and_heals(own_store: Store, pair: tuple[Peer, Peer]) -> None:
    own_store.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert (await pair[0].fail("join", group="h"))["code"] == "UNAVAILABLE"
        assert time.monotonic() - began < 2
        await asyncio.sleep(0)
    finally:
        own_store.signal(signal.SIGCONT)
    await healed(*pair)
    # The join was not acknowledged, so it was not done, or it was undone.
    assert (await pair[0].do("groups"))["list"] == [ROW]


async def test_an_emptied_store_is_noticed(own_store: Store, pair: tuple[Peer, Peer]) -> None:
    await own_store.run("FLUSHALL")
    for peer in pair:
        while (await peer.ask("groups")).get("ok", {}).get("list") != [ROW]:
            await asyncio.sleep(0.01)
    await nothing_has_changed(*pair, forgotten=True)


async def test_a_lost_connection_is_reopened_without_notices(own_store: Store, pair: tuple[Peer, Peer]) -> None:
    for kind in ("pubsub", "normal"):
        await own_store.run("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        await healed(*pair)
    await nothing_has_changed(*pair)


async def test_forgotten_scripts_are_loaded_again(own_store: Store, pair: tuple[Peer, Peer]) -> None:
    await own_store.run("SCRIPT", "FLUSH")
    await healed(*pair)
    await nothing_has_changed(*pair)


async def test_a_connection_lost_while_the_store_is_away_is_removed_when_it_is_back(
    own_store: Store, pair: tuple[Peer, Peer]
) -> None:
    ada, bob = pair
    own_store.signal(signal.SIGSTOP)
    await bob.socket.close()
    own_store.signal(signal.SIGCONT)
    event = await ada.event()
    assert (event["code"], event["sender"]) == ("USER_DISCONNECTED", "bob")
    await healed(ada)
    assert (await ada.do("groups"))["list"] == [{"group": "g", "number_of_users": 1, "number_of_connections": 1}]


async def test_readyz_tells_whether_the_store_is_there(
    own_store: Store, two: tuple[Server, Server], browse: Callable[..., httpx.AsyncClient]
) -> None:
    http = browse(two[0])
    assert (await http.get("/readyz")).json()["ready"]
    own_store.kill()
    while (await http.get("/readyz")).status_code == 200:
        pass
    assert (await http.get("/readyz")).json() == {"ready": False, "draining": False, "backend": False, "keys": True}
    own_store.start()
    while (await http.get("/readyz")).status_code != 200:
        await asyncio.sleep(0.01)


async def dead_backend(store: Store, *rows: UserRow) -> ValkeyBackend:
    """Leave behind what a killed node leaves: members, and no more signs of incarnation."""
    backend = ValkeyBackend(parse_address(store.url()))
    await backend.start()
    for row in rows:
        await backend.connect(row, 10)
        await backend.join(row, "g")
    await backend.abort()
    return backend


@pytest.mark.alone
async def test_a_dead_node_expires_once_and_soon(own_store: Store, pair: tuple[Peer, Peer]) -> None:
    await dead_backend(own_store, UserRow("eve", "1"), UserRow("eve", "2"), UserRow("zoe", "3"))
    began = time.monotonic()
    for peer in pair:
        codes = [await peer.event() for _ in range(6)]
        assert [event["code"] for event in codes] == ["USER_JOINED"] * 3 + ["USER_DISCONNECTED"] * 3
        assert sorted(event["sender_cid"] for event in codes[3:]) == ["1", "2", "3"]
    assert time.monotonic() - began < 5
    await nothing_has_changed(*pair)


async def test_a_node_that_was_declared_dead_comes_back_with_its_members(
    own_store: Store, pair: tuple[Peer, Peer]
) -> None:
    backend = await dead_backend(own_store, UserRow("eve", "1"))
    for code in ("USER_JOINED", "USER_DISCONNECTED"):
        assert (await pair[0].event())["code"] == code
    await backend.start()
    event = await pair[0].event()
    assert (event["code"], event["sender"]) == ("USER_JOINED", "eve")
    assert (await pair[0].do("groups"))["list"] == [{"group": "g", "number_of_users": 3, "number_of_connections": 3}]
    await backend.close()
    assert (await pair[0].event())["code"] == "USER_DISCONNECTED"


async def test_a_node_that_is_back_in_time_is_not_announced(own_store: Store, pair: tuple[Peer, Peer]) -> None:
    backend = await dead_backend(own_store, UserRow("eve", "1"))
    await backend.start()
    assert (await pair[0].event())["code"] == "USER_JOINED"
    assert await pair[0].quiet()
    await backend.close()
