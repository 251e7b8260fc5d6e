"""Several nodes on one store, with random operations, and a dictionary that knows what must be true of them."""

from __future__ import annotations

import asyncio
import random

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.errors import CommandError
from hubbub.groups.directory import parse_query
from hubbub.groups.roster import parse_user_query
from hubbub.messages import Event, Gap, GroupRow, Groups, Notice, Private, Signaled, UserRow, Users
from support.store import Store
from support.waiting import PATIENCE

GROUPS = [f"group{n}" for n in range(6)]
USERS = [f"user{n}" for n in range(8)]


class NoticeRecorder:
    """A receiver that delivers nothing, and records the notices of its node: (code, group, connection)."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, str, str]] = []

    def announce(self, group: str, event: Notice) -> int:
        self.notices.append((event.code, group, event.sender_cid))
        return 1

    def deliver(self, group: str, event: Event) -> int:
        return 0

    def deliver_to_user(self, user_id: str, event: Private | Gap) -> int:
        return 0

    def deliver_to_connection(self, connection_id: str, event: Signaled) -> int:
        return 0

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> None:
        """Ignore who is lost."""

    def close_connections(self, user_id: str | None, connection_id: str | None) -> int:
        return 0


class World:
    """Some nodes, and what is true of them: the node and the group of each connection."""

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
        node.attach(NoticeRecorder())
        await node.start()
        self.nodes.append(node)
        return node

    def recorders(self) -> list[NoticeRecorder]:
        """Return the recorders of all nodes."""
        found = [receiver for node in self.nodes for receiver in node._receivers]
        return [receiver for receiver in found if isinstance(receiver, NoticeRecorder)]

    async def step(self) -> None:
        """Make one random change."""
        chance = self.random.random()
        if not self.truth or chance < 0.15:  # more often than disconnects, so that the number grows
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
        """Make one random change although the store may be away: a refused change is not made."""
        try:
            await self.step()
        except CommandError as error:
            assert error.code == "UNAVAILABLE"

    async def cut(self) -> None:
        """Cut one node's connection to the store."""
        self.random.choice(list(self.random.choice(self.nodes)._shards)).link.reset("cut by the test")

    async def kill(self) -> None:
        """Stop one node as a kill does, without telling the store. Start another."""
        node = self.nodes.pop(self.random.randrange(len(self.nodes)))
        await node.abort()
        self.truth = {row: where for row, where in self.truth.items() if where[0] is not node}
        await self.node()

    async def agrees(self, node: ValkeyBackend) -> bool:
        """Return whether the listings of a node are true."""
        members: dict[str, list[UserRow]] = {}
        for row, (_, group) in self.truth.items():
            if group is not None:
                members.setdefault(group, []).append(row)
        expected = [GroupRow(g, len({r.user_id for r in rows}), len(rows)) for g, rows in sorted(members.items())]
        by_size = sorted(expected, key=lambda row: (row.number_of_users, row.group))
        all_users = parse_user_query(Users(limit=1000), 1000)
        try:
            return (
                (await node.groups(parse_query(Groups(), 1000))).list == expected
                and (await node.groups(parse_query(Groups(search_for="number_of_users"), 1000))).list == by_size
                and await node.count() == (len(expected), len(self.truth))
                and [(await node.users(group, all_users)).list for group in members]
                == [sorted(rows) for rows in members.values()]
            )
        except CommandError:
            return False

    async def settled(self) -> None:
        """Wait until all nodes agree with the truth."""
        async with asyncio.timeout(PATIENCE):
            for node in self.nodes:
                while not await self.agrees(node):
                    await asyncio.sleep(0.02)
