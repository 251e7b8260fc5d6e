"""Quiet messages and quiet members over real sockets: in memory, on a store and on a cluster, with two nodes there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

import hubbub
from hubbub.client import Gap, Message
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, Peer, server_bearer, token
from support.cluster import ClusterStore
from support.store import Store

Peers = Callable[..., Awaitable[Peer]]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store() as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterStore]:
    with ClusterStore() as running:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(running.form())
        loop.close()
        yield running


@pytest.fixture(params=["memory", "store", "cluster"])
def backend(request: pytest.FixtureRequest) -> str:
    return "memory" if request.param == "memory" else str(request.getfixturevalue(request.param).url())


@pytest.fixture
async def servers(backend: str) -> AsyncIterator[list[Server]]:
    """Two nodes; in memory it is twice the same."""
    async with AsyncExitStack() as stack:
        settings = Settings(port=0, secret=SECRET, backend=backend)
        one = await stack.enter_async_context(Server(settings))
        other = one if backend == "memory" else await stack.enter_async_context(Server(settings))
        yield [one, other]


async def read(peer: Peer, number: int) -> list[tuple[Any, Any]]:
    """Return message and number of the next events, or the kind of those that are no messages."""
    found = []
    for _ in range(number):
        event = await peer.event()
        found.append((event.get("message"), event["seq"]) if event["type"] == "message" else (event["type"], None))
    return found


async def test_an_unkept_message_is_delivered_and_never_replayed(servers: list[Server], peers: Peers) -> None:
    ada = await peers(servers[0], token=token("ada"), group="typing")
    bob = await peers(servers[1], token=token("bob"), group="typing")
    assert (await ada.event())["code"] == "USER_JOINED"
    start = (await bob.do("join", group="typing"))["position"]
    assert (await ada.do("post", to="typing", message="…", keep=False, echo=False))["recipients"] == 1
    assert (await ada.do("post", to="typing", message="hi"))["recipients"] == 2
    assert await read(bob, 2) == [("…", None), ("hi", start["seq"] + 1)]
    assert await read(ada, 1) == [("hi", start["seq"] + 1)]
    resumed = await bob.do("join", group="typing", since=start)
    assert resumed["replayed"] == 1
    refused = await ada.fail("post", to="typing", message=1, keep=False, key="k")
    assert (refused["code"], '"keep"' in refused["message"]) == ("INVALID_PARAMETER", True)


async def test_the_position_of_who_posts_without_echo(servers: list[Server], peers: Peers) -> None:
    ada = await peers(servers[0], token=token("ada"), group="echo")
    bob = await peers(servers[1], token=token("bob"), group="echo")
    assert (await ada.event())["code"] == "USER_JOINED"
    before = (await ada.do("join", group="echo"))["position"]["seq"]
    assert (await ada.do("post", to="echo", message=1, echo=False))["recipients"] == 1
    await bob.do("post", to="echo", message=2)
    assert await ada.event() == {"type": "posted", "sender_rid": "echo", "seq": before + 1}
    assert await read(ada, 1) == [(2, before + 2)]
    assert await read(bob, 2) == [(1, before + 1), (2, before + 2)]


async def test_a_private_message_that_is_not_kept(servers: list[Server], peers: Peers) -> None:
    bob = await peers(servers[1], token=token("bob"))
    ada = await peers(servers[0], token=token("ada"))
    start = bob.welcome["inbox"]
    assert (await ada.do("post", to={"user_id": "bob"}, message="…", keep=False))["recipients"] == 1
    await ada.do("post", to={"user_id": "bob"}, message="hi")
    assert [(each["message"], each["seq"]) for each in (await bob.event(), await bob.event())] == [
        ("…", None), ("hi", start["seq"] + 1),
    ]  # fmt: skip
    again = await peers(servers[0])
    welcome = await again.do("connect", token=token("bob"), since=start)
    assert welcome["replayed"] == 1


async def test_an_invisible_member_on_another_node(servers: list[Server], peers: Peers) -> None:
    ada = await peers(servers[0], token=token("ada"), group="watched")
    eve = await peers(servers[1], token=token("eve", invisible=True))
    await eve.do("join", group="watched", invisible=True, notices=False)
    assert (await ada.do("post", to="watched", message=1))["recipients"] == 1
    bob = await peers(servers[1], token=token("bob"), group="watched")
    await bob.do("post", to="watched", message=2)
    assert [event["message"] for event in (await eve.event(), await eve.event())] == [1, 2]  # and no notice of Bob
    rows = (await ada.do("users", group="watched"))["list"]
    assert [row["user_id"] for row in rows] == ["ada", "bob"]
    (row,) = (await ada.do("groups", value="watched", searchFor="group", condition="="))["list"]
    assert (row["number_of_users"], row["number_of_connections"]) == (2, 2)


async def test_who_becomes_invisible_leaves_and_who_becomes_visible_joins(servers: list[Server], peers: Peers) -> None:
    ada = await peers(servers[0], token=token("ada"), group="switch")
    eve = await peers(servers[1], token=token("eve", invisible=True), group="switch")
    for invisible in (True, False, True):
        await eve.do("join", group="switch", invisible=invisible)
    assert [(await ada.event())["code"] for _ in range(4)] == ["USER_JOINED", "USER_LEFT", "USER_JOINED", "USER_LEFT"]
    await ada.do("post", to="switch", message="hi")
    assert (await eve.event())["message"] == "hi"  # and before it no notice of its own
    await eve.do("leave")
    assert (await ada.event())["message"] == "hi"
    assert await ada.quiet()


async def test_the_python_client(servers: list[Server]) -> None:
    ada = hubbub.connect(servers[0].url, token=token("ada", invisible=True))
    bob = hubbub.connect(servers[1].url, token=token("bob"))
    async with ada, bob:
        await ada.join_realtime("room", invisible=True, notices=False)
        await bob.join_realtime("room")
        await bob.post_realtime("kept", "room", echo=False)
        await bob.post_realtime("typing", "room", keep=False, echo=False)
        await bob.post_realtime("last", "room")
        heard = []
        async for event in ada:
            if isinstance(event, Message):
                heard.append((event.message, event.seq is None))
                if event.message == "last":
                    break
        assert heard == [("kept", False), ("typing", True), ("last", False)]
        own = []
        async for event in bob:
            assert not isinstance(event, Gap)
            if isinstance(event, Message):
                own.append(event.message)
                break
        assert own == ["last"]
        assert bob.position == ada.position


async def test_over_http(servers: list[Server], peers: Peers, browse: Callable[..., httpx.AsyncClient]) -> None:
    ada = await peers(servers[1], token=token("ada"), group="http")
    client = browse(servers[0], headers=server_bearer())
    for path in ("/v1/groups/http/messages", "/v1/users/ada/messages"):
        answer = await client.post(path, json={"message": "now", "keep": False})
        assert answer.json()["recipients"] == 1, answer.text
        event = await ada.event()
        assert (event["message"], event["seq"]) == ("now", None)
        refused = await client.post(path, json={"message": "now", "keep": False, "key": "k"})
        assert refused.status_code == 400
