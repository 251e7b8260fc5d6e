"""Resumes in a race with posts: between replayed and live messages there is no hole and no duplicate.

Whole nodes without sockets, on each backend. Posts, lost connections and resumes come at random moments, also while
other commands are in flight to the store. What a listener must receive follows from the numbers alone.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.base import Backend
from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.node import Node
from hubbub.settings import Settings
from support.fake_link import FakeLink
from support.store import Store
from support.waiting import PATIENCE

GROUP = {"group": "g"}


class Listener:
    """A client that comes and goes, and reads only what was written before it went."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.end: FakeLink | None = None
        self.read = 0
        self.position: dict[str, Any] | None = None
        self.private: dict[str, Any] | None = None
        self.heard = 0
        self.resumed = 0

    def come(self, node: Node, number: int) -> None:
        """Connect and join, from where it stands."""
        self.end, self.read = FakeLink(f"{self.name}.{number}", node), 0
        self.end.say(id=0, do="connect", guest=self.name, since=self.private)
        self.end.say(id=1, do="join", **GROUP, since=self.position)

    def go(self) -> None:
        """Be cut off: what is not written by now was lost on the way."""
        assert self.end is not None
        self.listen()
        self.end.session.lost()
        self.end = None

    def listen(self) -> None:
        """Take in what was written: after the answer, every number once and in order."""
        assert self.end is not None
        for line in self.end.written[self.read :].splitlines():
            self._take_in(json.loads(line))
        self.read = len(self.end.written)

    def _take_in(self, frame: dict[str, Any]) -> None:
        ok = frame.get("ok", {})
        assert "error" not in frame
        assert not ok.get("gap")  # all of it is within the window
        if "inbox" in ok:
            self.private = self._resumed(self.private, ok["inbox"], ok["replayed"])
        elif "position" in ok:
            self.resumed += self.position is not None
            self.position = self._resumed(self.position, ok["position"], ok.get("replayed", 0))
        elif frame.get("type") in ("message", "private"):
            place = self.position if frame["type"] == "message" else self.private
            assert place is not None, "an event came before the answer"
            assert frame["seq"] == place["seq"] + 1
            assert frame["message"] == frame["seq"]  # there is one sender, and it counts
            place["seq"] += 1
            self.heard += 1

    def _resumed(self, since: dict[str, Any] | None, end: dict[str, Any], replayed: int) -> dict[str, Any]:
        begin = {"epoch": end["epoch"], "seq": end["seq"] - replayed}
        assert since in (None, begin)
        return begin


async def race(nodes: list[Node], resumes: int, seed: int) -> None:
    chance = random.Random(seed)
    sender = FakeLink("sender", nodes[0])
    sender.say(id=0, do="connect", guest="sender")
    sender.say(id=1, do="join", **GROUP)
    listeners = [Listener(name) for name in ("ada", "bob", "cat", "dan", "eve")]
    for number, each in enumerate(listeners):
        each.come(nodes[number % len(nodes)], 0)
    await caught_up(listeners, 0, 0)
    posted = posted_to_user = number = 0
    while sum(each.resumed for each in listeners) < resumes:
        for _ in range(chance.randrange(4)):
            posted += 1
            sender.say(id=2, do="post", to=GROUP, message=posted)
        if chance.random() < 0.3:
            posted_to_user += 1
            sender.say(id=3, do="post", to={"user_id": "ada"}, message=posted_to_user)
        sender.written = b""
        who = chance.choice(listeners)
        number += 1
        if who.end is None:
            who.come(chance.choice(nodes), number)
        elif who.read or chance.random() < 0.2:  # also before there was an answer
            who.go()
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if number % 50 == 0:  # sometimes all catch up, so that no position leaves the window
            for each in listeners:
                if each.end is None:
                    each.come(chance.choice(nodes), number)
            await caught_up(listeners, posted, posted_to_user)
        elif who.end is not None:
            who.listen()
    assert sum(each.heard for each in listeners) > resumes


async def caught_up(listeners: list[Listener], posted: int, posted_to_user: int) -> None:
    def done() -> bool:
        for each in listeners:
            assert each.end is not None
            each.listen()
        return all(each.position and each.position["seq"] == posted for each in listeners) and (
            listeners[0].private is not None and listeners[0].private["seq"] == posted_to_user
        )

    async with asyncio.timeout(PATIENCE):
        while not done():
            await asyncio.sleep(0.0005)


async def run(backends: list[Backend], resumes: int) -> None:
    options = Settings(rate_limit=0, max_connections_per_user=1000)
    nodes = [Node(options, backend, Authenticator(options)) for backend in backends]
    for node in nodes:
        await node.start()
    try:
        await race(nodes, resumes, seed=1)
    finally:
        for node in nodes:
            await node.close()


async def test_ten_thousand_resumes_in_memory() -> None:
    await run([MemoryBackend()], 10_000)


@pytest.mark.parametrize("nodes", [1, 2])
async def test_two_thousand_resumes_on_the_store(store: Store, nodes: int) -> None:
    await run([ValkeyBackend(parse_address(store.url())) for _ in range(nodes)], 2000)
