"""Random joins, leaves, drops, rights, reconnects and slow readers on some nodes, and what live queries must show."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

from hubbub.auth.authenticator import make_token
from hubbub.backends.base import Backend
from hubbub.messages import UserRow
from hubbub.node import Node
from support.fake_link import SECRET, FakeLink, make_node
from support.live import GROUPS, Members, Mirror, expected, random_query
from support.waiting import PATIENCE

RIGHTS: list[list[str] | None] = [None, None, ["a-*"], ["?-1", "b-*"], ["*"]]
EVERY = 10


class Reader:
    """A connection with some watches, and what it knows."""

    def __init__(self, world: LiveWorld, node: Node) -> None:
        self.world = world
        self.rights = world.random.choice(RIGHTS)
        world.made += 1
        self.user = f"reader{world.made % 7}"
        self.end = FakeLink(f"r{world.made}", node)
        self.end.say(do="connect", token=self._token())
        self.read = 0
        self.asked: dict[int, dict[str, Any]] = {}
        self.mirrors: dict[int, Mirror] = {}
        self.ended = 0
        for number in range(3):
            query = random_query(world.random)
            if self.rights is None or (query["what"] == "groups" and "groups" not in query):
                self.asked[number] = query
                self.end.say(id=number, do="watch", every=EVERY, **query)

    def _token(self) -> str:
        groups = {} if self.rights is None else {"groups": self.rights}
        return make_token(self.user, SECRET, now=1000.0, **groups)  # type: ignore[arg-type]

    def renew(self) -> None:
        """Get other rights."""
        self.rights = self.world.random.choice(RIGHTS)
        self.end.say(id=99, do="connect", token=self._token())

    @property
    def slow(self) -> bool:
        """Whether it does not read."""
        return self.end.session.slow

    def set_slow(self, slow: bool) -> None:
        """Stop reading, or read again."""
        self.end.session.slow = slow

    def listen(self) -> None:
        """Process what has arrived."""
        lines = self.end.written.split(b"\n")
        self.end.written = lines.pop()
        for line in lines:
            frame = json.loads(line)
            number = frame.get("id")
            if number in self.asked and "ok" in frame:
                mirror = self.mirrors[frame["ok"]["watch"]] = Mirror(self.asked[number], frame["ok"])
                self.world.require_known(mirror)
            elif frame.get("type") == "unwatched":
                del self.mirrors[frame["watch"]]
                self.ended += 1
            elif frame.get("type") in ("groups", "users"):
                mirror = self.mirrors[frame["watch"]]
                mirror.apply(frame)
                self.world.require_known(mirror)
            else:
                assert "error" not in frame, frame

    def knows(self) -> bool:
        """Return whether all it knows is true now."""
        self.listen()
        return all(
            (mirror.list, mirror.count) == expected(mirror.query, self.world.members, self._filter(mirror))
            for mirror in self.mirrors.values()
        )

    def _filter(self, mirror: Mirror) -> list[str] | None:
        return self.rights if mirror.query["what"] == "groups" and "groups" not in mirror.query else None


class LiveWorld:
    """Some nodes that share what `make` returns, members and readers.

    Args:
        make: Returns what one node holds of the backend.
        nodes: How many nodes.
        seed: Of the random numbers.
        readers: How many connections watch.
    """

    def __init__(self, make: Callable[[], Backend], nodes: int, seed: int, readers: int = 6) -> None:
        self.random = random.Random(seed)
        self.members: Members = {name: set() for name in GROUPS}
        self.made = 0
        self.readers: list[Reader] = []
        self.nodes: list[Node] = []
        self._make, self._number, self._most = make, nodes, readers
        self._where: dict[UserRow, tuple[Node, str | None]] = {}
        self._moments: list[Members] = []
        self.events = 0

    async def start(self) -> None:
        """Start the nodes, and connect the readers."""
        for _ in range(self._number):
            node = make_node(self._make(), secret=SECRET, view_interval=0.01, view_interval_filtered=0.01, view_cpu=10)
            await node.start()
            self.nodes.append(node)
        self._note()
        for _ in range(self._most):
            self.readers.append(Reader(self, self.random.choice(self.nodes)))

    async def stop(self) -> None:
        """Stop the nodes."""
        for node in self.nodes:
            await node.close()

    async def step(self) -> None:
        """Make one random change of the memberships."""
        chance = self.random.random()
        if not self._where or chance < 0.14:
            self.made += 1
            row = UserRow(f"user{self.random.randrange(4)}", f"c{self.made}")
            node = self.random.choice(self.nodes)
            await node.backend.connect(row, 1_000_000)
            self._where[row] = node, None
            return
        row = self.random.choice(list(self._where))
        node, group = self._where[row]
        if chance < 0.7:
            new = self.random.choice(GROUPS)
            self._move(row, group, new)
            await node.backend.join(row, new)
        elif chance < 0.86:
            self._move(row, group, None)
            await node.backend.leave(row)
        else:
            self._move(row, group, None)
            await node.backend.remove_connection(row)
            del self._where[row]

    def step_reader(self) -> None:
        """Let something happen to a reader: other rights, a reconnect, slow reading."""
        number = self.random.randrange(len(self.readers))
        reader, chance = self.readers[number], self.random.random()
        if chance < 0.4:
            reader.set_slow(not reader.slow)
        elif chance < 0.7 and not reader.slow:
            reader.listen()
            reader.renew()
        else:
            reader.listen()
            reader.set_slow(False)
            reader.end.session.lost()
            self.readers[number] = Reader(self, self.random.choice(self.nodes))

    async def settle(self) -> None:
        """Wait until every reader knows the truth; the slow ones read again."""
        for reader in self.readers:
            reader.set_slow(False)
        async with asyncio.timeout(PATIENCE):
            while not all(reader.knows() for reader in self.readers):
                await asyncio.sleep(0.002)
        del self._moments[:-1]

    def require_known(self, mirror: Mirror) -> None:
        """Fail unless what `mirror` shows was true at one moment since the readers were settled last."""
        self.events += 1
        # An event may have been sent before the rights changed: without a count it is filtered, by whichever rights.
        rights = [None] if mirror.count is not None else [each for each in RIGHTS if each is not None]
        shown = mirror.list, mirror.count
        assert any(
            shown == expected(mirror.query, moment, each) for moment in reversed(self._moments) for each in rights
        ), (mirror.query, shown)

    def _move(self, row: UserRow, old: str | None, new: str | None) -> None:
        pair = row.user_id, row.connection_id
        if old is not None:
            self.members[old].discard(pair)
        if new is not None:
            self.members[new].add(pair)
        self._where[row] = self._where[row][0], new
        self._note()

    def _note(self) -> None:
        self._moments.append({name: set(rows) for name, rows in self.members.items()})
