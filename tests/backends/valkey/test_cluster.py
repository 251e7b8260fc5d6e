"""A real cluster of three primaries and a replica: everything spread over shards, and what can happen to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.cluster import SHARDS
from hubbub.errors import CommandError
from hubbub.groups.directory import parse_query
from hubbub.messages import GroupRow, Groups, UserRow
from support.cluster import ClusterStore
from support.store import Store
from support.store_model import NoticeRecorder, World
from support.waiting import PATIENCE

ADA = UserRow("ada", "1")


def test_each_shard_has_its_own_part_of_the_slots() -> None:
    slots = [schema.slot_of(schema.shard_prefix(0, number, SHARDS)) for number in range(SHARDS)]
    assert [slot * SHARDS // schema.SLOTS for slot in slots] == list(range(SHARDS))


def test_slots_are_those_of_the_specification() -> None:
    assert schema.slot_of("{123456789}") == 0x31C3  # the check value that it gives


async def test_the_servers_agree_on_the_slots(cluster: ClusterStore) -> None:
    prefix = schema.shard_prefix(0, 5, SHARDS)
    assert await cluster.servers[0].run("CLUSTER", "KEYSLOT", prefix + "g:{x}") == schema.slot_of(prefix)


@pytest.fixture
async def world(cluster: ClusterStore) -> AsyncIterator[World]:
    async for each in staged(cluster):
        yield each


async def staged(cluster: ClusterStore) -> AsyncIterator[World]:
    """Three nodes with some members, all of whose notices have arrived."""
    world = World(cluster.servers[0], 1, cluster.url())
    for _ in range(3):
        await world.node()
    for _ in range(200):
        await world.step()
    yield world
    for node in world.nodes:
        await node.close()


async def forget_notices(world: World) -> list[NoticeRecorder]:
    """Wait until all notices have arrived, and drop them; return the recorders of those that follow."""
    recorders = [
        receiver for node in world.nodes for receiver in node._receivers if isinstance(receiver, NoticeRecorder)
    ]
    for node in world.nodes:
        await node.count()
    for each in recorders:
        each.notices.clear()
    return recorders


async def test_every_node_lists_the_truth_at_every_moment(world: World) -> None:
    for n in range(1000):
        await world.step()
        if n % 50 == 0:
            for node in world.nodes:
                assert await world.agrees(node)


async def test_cuts_and_dead_nodes_are_corrected(world: World) -> None:
    for n in range(1000):
        await world.step_anyhow()
        if n % 50 == 25:
            await world.cut()
        if n == 500:
            await world.kill()
    await world.settled()


async def test_a_node_has_one_connection_to_each_primary(cluster: ClusterStore, world: World) -> None:
    for server in cluster.servers[:3]:
        clients = await server.run("CLIENT", "LIST", "TYPE", "pubsub")
        assert isinstance(clients, bytes)
        assert clients.count(b"name=hubbub") == len(world.nodes)


async def test_a_slot_that_moves_takes_its_members_along(cluster: ClusterStore, world: World) -> None:
    recorders = await forget_notices(world)
    slot = schema.slot_of(schema.shard_prefix(0, 0, SHARDS))
    first, second, _, _ = cluster.servers
    for old, new in ((first, second), (second, first)):
        await cluster.move(slot, old, new)
        async with asyncio.timeout(PATIENCE):
            while not (await moved(world, new) and all([await world.agrees(node) for node in world.nodes])):
                await asyncio.sleep(0.01)
    assert [each.notices for each in recorders] == [[], [], []]
    for _ in range(100):
        await world.step()
    await world.settled()


async def moved(world: World, server: Store) -> bool:
    """Whether all nodes talk to `server` about the first shard."""
    found = [node._shards[0].link._connection for node in world.nodes]
    ports = [each._transport.get_extra_info("peername")[1] for each in found if each is not None]
    return ports == [server.port] * len(world.nodes)


@pytest.fixture
def own_cluster() -> Iterator[ClusterStore]:
    """One for a test that breaks it."""
    with ClusterStore() as running:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(running.form())
        loop.close()
        yield running


async def test_a_replica_takes_over(own_cluster: ClusterStore) -> None:
    async for world in staged(own_cluster):
        recorders = await forget_notices(world)
        await own_cluster.servers[0].run("WAIT", 1, 1000)
        own_cluster.servers[0].kill()
        began = time.monotonic()
        while any(node.ready for node in world.nodes):
            await asyncio.sleep(0.01)
        while not all(node.ready for node in world.nodes):
            await asyncio.sleep(0.01)
        await world.settled()
        assert time.monotonic() - began < 5
        assert [each.notices for each in recorders] == [[], [], []]
        for _ in range(100):
            await world.step()
        await world.settled()


@pytest.fixture
async def backend(cluster: ClusterStore) -> AsyncIterator[ValkeyBackend]:
    one = ValkeyBackend(parse_address(cluster.url()))
    await one.start()
    yield one
    await one.close()


def group_in(shard: int) -> str:
    """Return the name of a group that lies in the shard."""
    return next(name for name in map(str, range(1000)) if schema.shard_of(name, SHARDS) == shard)


async def listed(backend: ValkeyBackend) -> list[GroupRow]:
    return list((await backend.groups(parse_query(Groups(), 1000))).list)


@pytest.mark.parametrize("full", [[2], [0, 1, 2]], ids=["the new group's", "all"])
async def test_a_connection_that_cannot_join_the_new_group_stays_in_the_old_one(
    cluster: ClusterStore, backend: ValkeyBackend, full: list[int]
) -> None:
    """The second of the two scripts is refused; in one case the way back is refused, too, for a while."""
    old, new = group_in(0), group_in(SHARDS - 1)
    await backend.connect(ADA, 10)
    await backend.join(ADA, old)
    servers = [cluster.servers[n] for n in full]
    for server in servers:
        await server.run("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(CommandError, match="OOM"):
            await backend.join(ADA, new)
    finally:
        for server in servers:
            await server.run("CONFIG", "SET", "maxmemory", 0)
    while not backend.ready:
        await asyncio.sleep(0.01)
    assert await listed(backend) == [GroupRow(old, 1, 1)]
    await backend.join(ADA, new)
    assert await listed(backend) == [GroupRow(new, 1, 1)]


async def test_pages_are_right_when_one_shard_has_most_groups(backend: ValkeyBackend) -> None:
    """Then its share of the page is not enough, and the shards have to be asked again."""
    crowded = [name for name in map(str, range(2000)) if schema.shard_of(name, SHARDS) == 3]
    names = [*crowded[:60], "a", "b", "~"]
    for n, name in enumerate(names):
        row = UserRow("ada", str(n))
        await backend.connect(row, 1000)
        await backend.join(row, name)
    for ascending in (True, False):
        expected = sorted(names, reverse=not ascending)
        for search_for in ("group", "number_of_users"):
            found, start_key = [], None
            while start_key != "end":
                query = Groups(search_for=search_for, ascending=ascending, start_key=start_key, limit=25)  # type: ignore[arg-type]
                page = await backend.groups(parse_query(query, 1000))
                found += [row.group for row in page.list]  # type: ignore[union-attr]
                start_key = page.start_key  # type: ignore[assignment]
            assert found == expected
