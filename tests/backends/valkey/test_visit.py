"""A program that is no node: on a single server, and on a cluster, where each group is in one of many shards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from hubbub.backends.base import Backend
from hubbub.backends.valkey import schema
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.cluster import SHARDS
from hubbub.backends.valkey.visit import StoreVisit
from hubbub.errors import CommandError, StoreError
from hubbub.groups.history import Window
from hubbub.groups.query import parse_query
from hubbub.groups.roster import parse_user_query
from hubbub.messages import Groups, Message, Private, Users
from support.cluster import ClusterStore
from support.listener import ADA, BOB, EVE, Listener
from support.store import Store

GROUPS = [f"group {number}" for number in range(40)]


def message(text: str, group: str) -> Message:
    return Message(msgspec.Raw(msgspec.json.encode(text)), "server", None, group, 0)


@pytest.fixture(params=["store", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    running: Store | ClusterStore = request.getfixturevalue(request.param)
    return running.url()


@pytest.fixture
async def node(url: str) -> AsyncIterator[Listener]:
    backend = ValkeyBackend(parse_address(url), Window(messages=3))
    listener = Listener(backend)
    backend.attach(listener)
    await backend.start()
    for user in (ADA, BOB, EVE):
        await backend.connect(user, 10)
    yield listener
    await backend.close()


@pytest.fixture
async def visit(url: str) -> AsyncIterator[StoreVisit]:
    one = StoreVisit(parse_address(url))
    yield one
    await one.close()


async def test_posts_reach_every_shard(node: Listener, visit: StoreVisit) -> None:
    backend: Backend = node.backend
    for group in GROUPS[:8]:
        await backend.join(ADA, group)
        assert await visit.publish(message("hello", group), "key", 1) == 1
        assert await visit.publish(message("again", group), "key", 1) == 1
    with pytest.raises(CommandError, match="INVALID_REQUEST"):
        await visit.publish(message("hello", GROUPS[7]), "other", 2)
    for user in (ADA, BOB, EVE):
        assert await visit.post_to_user(user.user_id, Private(msgspec.Raw(b"1"), "server", None)) >= 1


async def test_listings_over_all_shards(node: Listener, visit: StoreVisit) -> None:
    backend: Backend = node.backend
    await backend.join(ADA, GROUPS[3])
    await backend.join(BOB, GROUPS[3])
    await backend.join(EVE, GROUPS[4])
    page = await visit.groups(parse_query(Groups(search_for="number_of_users", ascending=False), 1000))
    assert [(row.group, row.number_of_users) for row in page.list] == [(GROUPS[3], 2), (GROUPS[4], 1)]  # type: ignore[union-attr]
    users = await visit.users(GROUPS[3], parse_user_query(Users(limit=1), 1000))
    assert (users.list, users.end_of_list) == ([ADA], False)
    assert (await visit.users(GROUPS[3], parse_user_query(Users(start_key="end"), 1000))).list == []


async def test_disconnects_on_every_shard(node: Listener, visit: StoreVisit) -> None:
    assert await visit.disconnect_connection(ADA.connection_id) == 1
    assert await visit.disconnect_connection("unknown") == 0
    assert await visit.disconnect_user(BOB.user_id, 60) == 1
    with pytest.raises(CommandError, match="FORBIDDEN"):
        await node.backend.connect(BOB, 10)


async def test_nothing_is_left_where_no_node_is(store: Store) -> None:
    visit = StoreVisit(parse_address(store.url()))
    await asyncio.gather(*(visit.publish(message("hello", group), "key") for group in GROUPS))
    await visit.close()
    assert await store.run("DBSIZE") == 0


async def test_a_slot_that_moves(cluster: ClusterStore) -> None:
    visit = StoreVisit(parse_address(cluster.url()))
    prefix = schema.shard_prefix(0, schema.shard_of("group", SHARDS), SHARDS)
    slot = schema.slot_of(prefix)
    number = slot * 3 // 16384
    old, new = cluster.servers[number], cluster.servers[(number + 1) % 3]
    assert await visit.publish(message("hello", "group")) == 0
    await cluster.move(slot, old, new)
    try:
        with pytest.raises(StoreError):  # the next call asks which server is the right one
            await visit.publish(message("hello", "group"))
        assert await visit.publish(message("hello", "group")) == 0
        await visit.close()
    finally:
        await cluster.move(slot, new, old)
