"""One Chromium per module, servers, and users of the demo page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser

from hubbub.server import Server
from hubbub.settings import Settings
from support.browser import JoinPeer, Person, StartServer, Visit, chromium, come
from support.clients import Peer, open_peer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def start() -> AsyncIterator[StartServer]:
    """Start servers with these settings."""
    async with AsyncExitStack() as stack:

        async def start_server(**settings: Any) -> Server:
            return await stack.enter_async_context(Server(Settings(**{"port": 0, **settings})))

        yield start_server


@pytest_asyncio.fixture(loop_scope="module")
async def server(start: StartServer) -> Server:
    return await start()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser, server: Server) -> AsyncIterator[Visit]:
    """Open the page as a user. At the end no console may show an error, unless a test removed it from `complaints`."""
    people: list[Person] = []

    async def open_page(name: str, path: str = "/", at: Server = server, **options: Any) -> Person:
        people.append(await come(browser, at.url + path, name, **options))
        return people[-1]

    yield open_page
    await asyncio.gather(*(person.page.context.close() for person in people))
    assert [complaint for person in people for complaint in person.complaints] == []


@pytest_asyncio.fixture(loop_scope="module")
async def two(visit: Visit) -> tuple[Person, Person]:
    """Alice and Bob, both in the lobby."""
    alice, bob = await asyncio.gather(visit("Alice"), visit("Bob"))
    await alice.enter()
    await bob.enter()
    await alice.sees_people("Alice", "Bob")
    return alice, bob


@pytest_asyncio.fixture(loop_scope="module")
async def join_peer(server: Server) -> AsyncIterator[JoinPeer]:
    """Connect users without a browser."""
    async with AsyncExitStack() as stack:

        async def connect(guest: str, group: str, at: Server = server) -> Peer:
            peer = await open_peer(at, guest=guest, group=group)
            stack.push_async_callback(peer.socket.close)
            return peer

        yield connect
