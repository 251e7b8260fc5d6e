"""Live queries when the store goes away and comes back, and on a store that does not say what changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.messages import UserRow
from hubbub.node import Node
from support.fake_link import FakeLink, enter, make_node
from support.store import Store
from support.waiting import PATIENCE

WATCH: dict[str, Any] = {"id": 7, "do": "watch", "what": "groups", "every": 100}


@pytest.fixture
def store() -> Any:
    """A server of its own, which a test may stop."""
    with Store() as running:
        yield running


@pytest.fixture
async def start() -> AsyncIterator[Callable[[str], Any]]:
    """Start nodes on the store with this address."""
    nodes: list[Node] = []

    async def start_node(url: str) -> Node:
        node = make_node(ValkeyBackend(parse_address(url)))
        await node.start()
        nodes.append(node)
        return node

    yield start_node
    for node in nodes:
        await node.close()


async def until(end: FakeLink, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Wait for a frame, and forget all so far."""
    async with asyncio.timeout(PATIENCE):
        while not (found := [frame for frame in end.heard() if wanted(frame)]):
            await asyncio.sleep(0.005)
    end.written = b""
    return found[0]


async def watcher(node: Node) -> FakeLink:
    """Return a connection that watches all groups."""
    end = enter(node)
    await until(end, lambda frame: frame.get("id") == 0)
    end.say(**WATCH)
    await until(end, lambda frame: frame.get("id") == 7)
    return end


def has(group: str) -> Callable[[dict[str, Any]], object]:
    return lambda frame: group in [row["group"] for row in frame.get("set", ())]


async def join(node: Node, user: str, group: str) -> None:
    row = UserRow(user, f"{user}1")
    await node.backend.connect(row, 10)
    await node.backend.join(row, group)


async def test_when_the_store_came_back_the_whole_list_is_sent(store: Store, start: Callable[[str], Any]) -> None:
    node = await start(store.url())
    end = await watcher(node)
    await join(node, "ada", "a")
    await until(end, has("a"))
    store.kill()
    store.start()
    whole = await until(end, lambda frame: "list" in frame)
    assert [row["group"] for row in whole["list"]] == ["a"]
    await join(node, "bob", "b")
    await until(end, has("b"))


async def test_when_only_the_connection_was_lost(store: Store, start: Callable[[str], Any]) -> None:
    node, other = await start(store.url()), await start(store.url())
    end = await watcher(node)
    for shard in node.backend._shards:
        shard.link.reset("cut by the test")
    await join(other, "ada", "a")
    whole = await until(end, lambda frame: "list" in frame and frame["count"] == 1)
    assert [row["group"] for row in whole["list"]] == ["a"]
    await join(other, "bob", "b")
    await until(end, has("b"))


async def test_a_store_that_does_not_say_what_changes_is_read_again(store: Store, start: Callable[[str], Any]) -> None:
    await store.run("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-client|tracking")
    node = await start(store.url().replace("//", "//limited:secret@"))
    end = await watcher(node)
    for group in ("a", "b"):
        await join(node, f"user-{group}", group)
        await until(end, has(group))


async def test_posts_to_a_group_on_the_page_are_no_events(store: Store, start: Callable[[str], Any]) -> None:
    node = await start(store.url())
    member = enter(node, "member")
    member.say(id=1, do="join", group="a")
    await until(member, lambda frame: frame.get("id") == 1)
    end = await watcher(node)
    for number in range(20):
        member.say(id=2, do="post", to={"group": "a"}, message=number)
        await until(member, lambda frame: frame.get("id") == 2)
    await join(node, "ada", "b")
    await until(end, has("b"))
    assert node.counters.view_events == 1
