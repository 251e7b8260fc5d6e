"""One key in the store has the wrong type: the log names it, all else works, and deleting it repairs the rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from msgspec import Raw

from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.wrong_keys import SHARD_TYPES, TYPES
from hubbub.errors import CommandError
from hubbub.messages import Event, Gap, Message, Private, UserRow
from support.store import Store
from support.store_model import NoticeRecorder, World
from support.waiting import PATIENCE

P = "hubbub:{0.0}:"
GROUP = ("g:g", "h:g", "m:g", "a:g")
USER = ("u:ada", "j:ada", "i:ada")
ADA, BOB, EVE = UserRow("ada", "1"), UserRow("bob", "2"), UserRow("eve", "3")


class EventRecorder(NoticeRecorder):
    """Records messages and gaps as well."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def deliver(self, group: str, event: Event) -> int:
        self.events.append(event)
        return 1

    def deliver_to_user(self, user_id: str, event: Private | Gap, but: str | None = None) -> int:
        self.events.append(event)
        return 1


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    """Ada and bob in ``g``, eve in ``fine``, on three nodes; both have a message."""
    made = World(store, 1)
    for row, group in ((ADA, "g"), (BOB, "g"), (EVE, "fine")):
        node = await made.node()
        await node.connect(row, 10)
        await node.join(row, group)
        made.truth[row] = node, group
    for group in ("g", "fine"):
        await post(made.nodes[0], group)
    await made.nodes[1].post_to_user("ada", Private(Raw(b"1"), "bob", "2"))
    yield made
    for node in made.nodes:
        await node.close()


async def post(node: ValkeyBackend, group: str) -> int:
    return await node.publish(Message(Raw(b"1"), "bob", "2", group, 0))


async def spoil(store: Store, key: str, node: ValkeyBackend) -> str:
    """Replace `key` by one of another type; return its full name."""
    name = P + key.replace("LIFE", node._shards[0].incarnation)
    await store.run("DEL", name)
    if (SHARD_TYPES.get(key.encode()) or TYPES[key[:1].encode()]) == b"string":
        await store.run("HSET", name, "a", "b")
    else:
        await store.run("SET", name, "something else")
    return name


async def try_everything(world: World) -> None:
    """Try everything on all nodes; what needs the key fails."""

    async def anyhow(work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except CommandError as error:
            assert error.code == "UNAVAILABLE"

    ada, bob, eve = world.nodes
    await anyhow(post(ada, "g"))
    await anyhow(ada.post_to_user("ada", Private(Raw(b"2"), "bob", "2")))
    dan = UserRow("dan", "4")
    await anyhow(bob.connect(dan, 10))
    if dan.connection_id in bob._local_members:
        for group in ("g", "new", "fine"):
            await anyhow(bob.join(dan, group))
        await bob.remove_connection(dan)
    again = UserRow("ada", "5")
    await anyhow(eve.connect(again, 10))
    await eve.remove_connection(again)
    await anyhow(ada.join(ADA, "g"))


async def named(caplog: pytest.LogCaptureFixture, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while name not in caplog.text:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("key", [*GROUP, *USER, *map(bytes.decode, SHARD_TYPES), "n:LIFE", "b:bob"])
async def test_everything_else_works_and_deleting_the_key_repairs_everything(
    world: World, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hubbub.valkey")
    opened = [node._shards[0].link.opened for node in world.nodes]
    name = await spoil(world.store, key, world.nodes[0])
    for _ in range(3):
        await try_everything(world)
        # Other groups are not affected: not even commands that are in flight on the same connection fail.
        assert await post(world.nodes[0], "fine") >= 1
    if key not in ("a:g", "b:bob", "secret", "run", "window", "schema"):  # which no command needs now
        await named(caplog, name)
    await world.store.run("DEL", name)
    await world.settled()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if await post(world.nodes[0], "g") == 2 and await world.nodes[2].post_to_user(
                    "ada", Private(Raw(b"3"), "bob", "2")
                ):
                    break
            except CommandError as error:
                assert error.code == "UNAVAILABLE"
            await asyncio.sleep(0.02)
    if key not in ("lives", f"n:{world.nodes[0]._shards[0].incarnation}"):
        assert [node._shards[0].link.opened for node in world.nodes] == opened
    assert caplog.text.count(name) <= len(world.nodes)


async def test_members_of_the_group_may_join_other_groups(world: World) -> None:
    ada = world.nodes[0]
    await spoil(world.store, "g:g", ada)
    with pytest.raises(CommandError, match="wrong type"):
        await post(ada, "g")
    async with asyncio.timeout(PATIENCE):
        while not ada._shards[0].wrong.groups:
            await asyncio.sleep(0.02)
    await ada.join(ADA, "fine")
    world.truth[ADA] = ada, "fine"
    await world.nodes[1].remove_connection(BOB)
    del world.truth[BOB]
    await world.store.run("DEL", P + "g:g")
    await world.settled()


async def test_members_who_stay_get_a_gap(world: World) -> None:
    ada = world.nodes[0]
    recorder = EventRecorder()
    ada._receivers[:] = [recorder]
    await spoil(world.store, "g:g", ada)
    with pytest.raises(CommandError, match="wrong type"):
        await post(ada, "g")
    async with asyncio.timeout(PATIENCE):
        while not ada._shards[0].wrong.groups:
            await asyncio.sleep(0.02)
        await world.store.run("DEL", P + "g:g")
        while ada._shards[0].wrong.groups:
            await asyncio.sleep(0.02)
    assert await post(world.nodes[1], "g") == 2
    async with asyncio.timeout(PATIENCE):
        while len(heard := [event for event in recorder.events if not isinstance(event, Private)]) < 2:
            await asyncio.sleep(0.02)  # a private message from before may be among them
    gap, message = heard
    assert isinstance(gap, Gap)
    assert isinstance(message, Message)
    assert (gap.position.seq, message.seq) == (0, 1)


async def test_a_node_starts_and_serves_though_a_group_has_a_wrong_key(world: World) -> None:
    ada = world.nodes[0]
    for key in ("g:g", "h:fine"):
        await spoil(world.store, key, ada)
    for node in world.nodes:
        node._shards[0].link.reset("cut by the test")
    async with asyncio.timeout(PATIENCE):
        while any(node._shards[0].link.opened < 2 for node in world.nodes):
            await asyncio.sleep(0.02)
    await ada.connect(UserRow("dan", "6"), 10)
    await ada.join(UserRow("dan", "6"), "other")
    world.truth[UserRow("dan", "6")] = ada, "other"
    assert await post(ada, "other") == 1
    await world.store.run("DEL", P + "g:g", P + "h:fine")
    await world.settled()


async def test_a_dead_node_expires_though_one_of_its_groups_has_a_wrong_key(world: World) -> None:
    for number in range(20):
        row = UserRow("zoe", f"z{number}")
        await world.nodes[2].connect(row, 100)
        await world.nodes[2].join(row, f"zoe{number}")
        world.truth[row] = world.nodes[2], f"zoe{number}"
    await spoil(world.store, "m:zoe7", world.nodes[2])
    dead = world.nodes.pop()
    await dead.abort()
    world.truth = {row: where for row, where in world.truth.items() if where[0] is not dead}
    async with asyncio.timeout(PATIENCE):
        while len(await world.store.run("ZRANGE", P + "names", 0, -1)) > 2:  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
    assert await post(world.nodes[0], "g") == 2
    await world.store.run("DEL", P + "m:zoe7")
    await world.settled()
