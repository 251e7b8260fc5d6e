"""Members who must not be affected, and attackers whose frames are made by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack

import pytest

from hubbub.server import Server
from support.clients import Peer
from support.raw import RawWebSocket


@pytest.fixture
async def attack() -> AsyncIterator[Callable[..., Awaitable[RawWebSocket]]]:
    """Open TCP connections: ``await attack(server, receive_buffer=1)``; cut at the end of the test."""
    with ExitStack() as stack:

        async def open_and_keep(server: Server, receive_buffer: int = 0) -> RawWebSocket:
            attacker = await RawWebSocket.connect(server, receive_buffer)
            stack.callback(attacker.abort)
            return attacker

        yield open_and_keep


class Bystanders:
    """A poster and listeners in one group; `check` asserts that they were not affected."""

    def __init__(self, poster: Peer, listeners: list[Peer], group: str) -> None:
        self.poster = poster
        self.listeners = listeners
        self.group = group
        self.posted = 0

    async def post(self, size: int = 10) -> int:
        """Post the next number to the group; return how many connections it was handed to."""
        self.posted += 1
        reply = await self.poster.do("post", to={"group": self.group}, message=[self.posted, "x" * size])
        recipients: int = reply["recipients"]
        return recipients

    async def check(self) -> None:
        """Assert that every listener received every number once, in order."""
        for listener in self.listeners:
            heard: list[int] = []
            while len(heard) < self.posted:
                event = await listener.event()
                if event["type"] == "message":
                    heard.append(event["message"][0])
            assert heard == list(range(1, self.posted + 1))


@pytest.fixture
async def bystanders(peers: Callable[..., Awaitable[Peer]]) -> Callable[..., Awaitable[Bystanders]]:
    """Open bystanders: ``await bystanders(server)``."""

    async def open_them(server: Server, group: str = "hall") -> Bystanders:
        listeners = [await peers(server, guest=f"listener-{number}", group=group) for number in range(3)]
        return Bystanders(await peers(server, guest="poster", group=group), listeners, group)

    return open_them
