"""The feed on a real store: when it is written, how much is kept, and what faults of nodes and the store do to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.schema import INCARNATIONS, shard_prefix
from hubbub.errors import CommandError
from hubbub.groups.feed import FeedWindow
from hubbub.groups.history import Window
from hubbub.messages import Position, UserRow
from support.feed_mirror import Mirror, until_it_agrees
from support.listener import ADA, BOB, EVE, Listener
from support.store import Store
from support.store_model import World

KEY = f"{shard_prefix(0)}feed"
PATIENCE = 20.0


@pytest.fixture
async def backend(store: Store) -> AsyncIterator[ValkeyBackend]:
    node = await connected(store)
    yield node
    await node.close()


async def connected(store: Store, window: FeedWindow | None = None) -> ValkeyBackend:
    node = ValkeyBackend(parse_address(store.url()), Window(restart_grace=0.4), window)
    node.attach(Listener(node))
    await node.start()
    return node


async def entries(store: Store) -> list[bytes]:
    found = await store.run("LRANGE", KEY, 0, -1)
    assert isinstance(found, list)
    return found


async def test_nothing_is_written_while_nobody_reads(backend: ValkeyBackend, store: Store) -> None:
    await backend.connect(ADA, 10)
    await backend.join(ADA, "g")
    await backend.send_off([ADA])
    await backend.remove_connection(ADA)
    assert await store.run("KEYS", "*feed*") == []
    assert await store.run("ZRANGE", f"{shard_prefix(0)}absences", 0, -1) == [b"1 gada\0\x001"]


async def test_a_node_that_learns_of_the_feed_late_misses_nothing(backend: ValkeyBackend, store: Store) -> None:
    """Its first scripts are those without the feed, which refuse to run; it must do all of their work later."""
    other = await connected(store)
    await backend.feed.read(None, 10)
    rows = [UserRow(f"user{number}", f"{number}") for number in range(50)]
    await asyncio.gather(*(other.connect(row, 10) for row in rows))
    await backend.feed.read(None, 10)
    await asyncio.gather(*(other.join(row, "g") for row in rows))
    await asyncio.gather(*(other.remove_connection(row) for row in rows[:25]))
    kinds = Counter(entry.rpartition(b"\0\0")[2].lstrip(b"0123456789")[:1] for entry in await entries(store))
    assert kinds == {b" ": 1, b"N": 50, b"O": 1, b"J": 49, b"L": 25}
    await other.close()


async def test_without_a_reader_the_feed_ends_after_the_window(store: Store) -> None:
    node = await connected(store, FeedWindow(age=1))
    start = (await node.feed.read(None, 10)).positions
    await node.connect(ADA, 10)
    async with asyncio.timeout(PATIENCE):
        while await store.run("EXISTS", KEY):
            await asyncio.sleep(0.05)
    await node.join(ADA, "g")
    assert await store.run("KEYS", "*feed*") == []
    assert (await node.feed.read(start, 10)).gap
    await node.close()


async def test_the_number_of_entries_is_bounded(store: Store) -> None:
    node = await connected(store, FeedWindow(events=100))
    start = (await node.feed.read(None, 10)).positions
    await node.connect(ADA, 10)
    for number in range(300):
        await node.join(ADA, str(number % 7))
        assert await store.run("LLEN", KEY) <= 100 * 17 / 16 + 64  # type: ignore[operator]
    assert (await node.feed.read(start, 10)).gap
    now = (await node.feed.read(None, 10)).positions[0]
    recent = await node.feed.read((Position(now.epoch, now.seq - 40 * 4),), 1000)
    assert not recent.gap
    assert [event.group for _, event in recent.events if event.type == "member_joined"] == [
        str(number % 7) for number in range(260, 300)
    ]
    await node.close()


async def test_the_bytes_are_bounded(store: Store) -> None:
    node = await connected(store, FeedWindow(bytes=200_000))
    await node.feed.read(None, 10)
    await node.connect(ADA, 10)
    for number in range(1000):
        await node.join(ADA, f"{number:0250}")
    assert 100_000 < await store.run("MEMORY", "USAGE", KEY) < 300_000  # type: ignore[operator]
    await node.close()


async def test_a_node_that_writes_no_feed_ends_it(backend: ValkeyBackend, store: Store) -> None:
    start = (await backend.feed.read(None, 10)).positions
    time = await store.run("TIME")
    assert isinstance(time, list)
    await store.run("ZADD", f"{shard_prefix(0)}{INCARNATIONS}", int(time[0]) * 1000 + 10**7, "old.1")
    with pytest.raises(CommandError, match="a node with version 1 of the schema writes no feed"):
        await backend.feed.read(start, 10)
    assert not await store.run("EXISTS", KEY)
    await store.run("ZREM", f"{shard_prefix(0)}{INCARNATIONS}", "old.1")
    assert (await backend.feed.read(start, 10)).gap


async def test_a_node_that_writes_no_feed_ends_it_while_nobody_reads(backend: ValkeyBackend, store: Store) -> None:
    await backend.feed.read(None, 10)
    time = await store.run("TIME")
    assert isinstance(time, list)
    await store.run("ZADD", f"{shard_prefix(0)}{INCARNATIONS}", int(time[0]) * 1000 + 10**7, "old.1")
    async with asyncio.timeout(PATIENCE):
        while await store.run("EXISTS", KEY):
            await asyncio.sleep(0.05)


async def test_a_key_of_the_wrong_type_does_not_stop_joins(backend: ValkeyBackend, store: Store) -> None:
    await store.run("SET", KEY, "something else")
    await backend.connect(ADA, 10)
    await backend.join(ADA, "g")
    with pytest.raises(CommandError):
        await backend.feed.read(None, 10)
    await store.run("DEL", KEY)
    assert not (await backend.feed.read(None, 10)).gap
    await backend.join(ADA, "h")
    assert len(await entries(store)) == 2


async def test_the_users_of_a_killed_node_go_offline_once(backend: ValkeyBackend, store: Store) -> None:
    killed = await connected(store)
    async with Mirror(backend) as mirror:
        for row in (ADA, BOB):
            await killed.connect(row, 10)
            await killed.join(row, "g")
        await backend.connect(EVE, 10)
        await backend.join(EVE, "g")
        both = UserRow("ada", "9")
        await backend.connect(both, 10)
        await killed.abort()
        await until_it_agrees(mirror, backend, {"ada", "eve"})
        assert mirror.state.members == {("g", "eve")}
        assert mirror.counts["user_offline"] == 1
        assert mirror.counts["member_left"] == 2
        assert {event.why for event in mirror.seen if event.type in ("user_offline", "member_left")} == {"node_lost"}
        assert mirror.repeated == []


async def test_a_restart_of_the_store_is_a_gap_and_a_snapshot() -> None:
    with Store() as store:
        node = await connected(store)
        await node.connect(ADA, 10)
        await node.join(ADA, "g")
        async with Mirror(node) as mirror:
            await until_it_agrees(mirror, node, {"ada"})
            store.kill()
            store.start()
            async with asyncio.timeout(PATIENCE):
                while not mirror.counts["gap"]:
                    await asyncio.sleep(0.02)
                while not node.ready:
                    await asyncio.sleep(0.02)
            await node.connect(BOB, 10)
            await node.join(BOB, "g")
            await until_it_agrees(mirror, node, {"ada", "bob"})
        await node.close()


async def test_a_mirror_is_true_after_cuts_and_kills(store: Store) -> None:
    world = World(store, 7)
    for _ in range(2):
        await world.node()
    watching = await connected(store)
    async with Mirror(watching) as mirror:
        for step in range(400):
            await world.step_anyhow()
            if step % 100 == 50:
                await world.cut()
            if step % 200 == 150:
                await world.kill()
        await world.settled()
        await until_it_agrees(mirror, watching, {row.user_id for row in world.truth})
        assert mirror.repeated == []
        assert mirror.counts["gap"] == 0
    for node in (*world.nodes, watching):
        await node.close()
