"""Random joins, leaves, drops, cuts and deaths on three nodes, compared with a dictionary that knows the truth."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from hubbub.backends.valkey import expiry
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.errors import CommandError
from hubbub.groups.directory import parse_query
from hubbub.groups.roster import parse_user_query
from hubbub.messages import Event, GroupRow, Groups, Notice, Private, Signaled, UserRow, Users
from support.store import Store

STEPS = 3000
GROUPS = [f"group{n}" for n in range(6)]
USERS = [f"user{n}" for n in range(8)]


class Deaf:
    """A node that hands nothing over but keeps the notices in which it has a part: (code, group, connection)."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, str, str]] = []

    def announce(self, group: str, event: Notice) -> int:
        self.notices.append((event.code, group, event.sender_cid))
        return 1

    def deliver(self, group: str, event: Event) -> int:
        return 0

    def deliver_to_user(self, user_id: str, event: Private) -> int:
        return 0

    def deliver_to_connection(self, connection_id: str, event: Signaled) -> int:
        return 0

    def close_connections(self, user_id: str | None, connection_id: str | None) -> int:
        return 0


class World:
    """Three nodes, and what is true of them: who is where, by connection."""

    def __init__(self, store: Store, seed: int, url: str | None = None) -> None:
        self.store = store
        self.url = url or store.url()
        self.random = random.Random(seed)
        self.nodes: list[ValkeyBackend] = []
        self.truth: dict[UserRow, tuple[ValkeyBackend, str | None]] = {}
        self.made = 0

    async def node(self) -> ValkeyBackend:
        """Start one more node."""
        node = ValkeyBackend(parse_address(self.url))
        node.attach(Deaf())
        await node.start()
        self.nodes.append(node)
        return node

    async def step(self) -> None:
        """Do something at random."""
        chance = self.random.random()
        if not self.truth or chance < 0.15:  # more than go, so that it grows
            self.made += 1
            row = UserRow(self.random.choice(USERS), str(self.made))
            node = self.random.choice(self.nodes)
            await node.connect(row, 1000)
            self.truth[row] = node, None
            return
        row = self.random.choice(list(self.truth))
        node, group = self.truth[row]
        if chance < 0.7:
            group = self.random.choice(GROUPS)
            await node.join(row, group)
            self.truth[row] = node, group
        elif chance < 0.88:
            await node.leave(row)
            self.truth[row] = node, None
        else:
            await node.remove_connection(row)
            del self.truth[row]

    async def step_anyhow(self) -> None:
        """Do something at random, though the store may be away: what is refused is not done."""
        try:
            await self.step()
        except CommandError as error:
            assert error.code == "UNAVAILABLE"

    async def cut(self) -> None:
        """Cut one node's connection to the store."""
        self.random.choice(list(self.random.choice(self.nodes)._shards)).link.reset("cut by the test")

    async def kill(self) -> None:
        """FakeLink one node as a kill does: without a word. Start another."""
        node = self.nodes.pop(self.random.randrange(len(self.nodes)))
        await node.abort()
        self.truth = {row: place for row, place in self.truth.items() if place[0] is not node}
        await self.node()

    async def agrees(self, node: ValkeyBackend) -> bool:
        """Whether what a node lists is the truth."""
        members: dict[str, list[UserRow]] = {}
        for row, (_, group) in self.truth.items():
            if group is not None:
                members.setdefault(group, []).append(row)
        expected = [GroupRow(g, len({r.user_id for r in rows}), len(rows)) for g, rows in sorted(members.items())]
        by_size = sorted(expected, key=lambda row: (row.number_of_users, row.group))
        everybody = parse_user_query(Users(limit=1000), 1000)
        try:
            return (
                (await node.groups(parse_query(Groups(), 1000))).list == expected
                and (await node.groups(parse_query(Groups(search_for="number_of_users"), 1000))).list == by_size
                and await node.count() == (len(expected), len(self.truth))
                and [(await node.users(group, everybody)).list for group in members]
                == [sorted(rows) for rows in members.values()]
            )
        except CommandError:
            return False

    async def settled(self) -> None:
        """Wait until all nodes agree with the truth, for as long as a death may take to be noticed."""
        async with asyncio.timeout(expiry.SILENCE + 2):
            for node in self.nodes:
                while not await self.agrees(node):
                    await asyncio.sleep(0.02)


@pytest.fixture(params=[1, 2])
async def world(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[World]:
    made = World(store, request.param)
    for _ in range(3):
        await made.node()
    yield made
    for node in made.nodes:
        await node.close()


async def test_every_node_lists_the_truth_at_every_moment(world: World) -> None:
    for n in range(STEPS):
        await world.step()
        if n % 50 == 0:
            for node in world.nodes:
                assert await world.agrees(node)


async def test_cuts_and_deaths_are_put_right(world: World) -> None:
    for n in range(STEPS):
        await world.step_anyhow()
        if n % 100 == 50:
            await world.cut()
        if n % 1000 == 500:
            await world.kill()
    await world.settled()
    for node in world.nodes:
        await node.close()
    world.nodes.clear()
    while await world.store.run("EXISTS", "hubbub:{0.0}:names", "hubbub:{0.0}:w", "hubbub:{0.0}:sizes"):
        await asyncio.sleep(0.05)
