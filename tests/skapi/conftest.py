"""One browser, one site of pages and one server for the tests with ``skapi-js``; each user has their own profile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, Peer, open_peer
from support.npm import install
from support.skapi_pages import CHROMIUM, HERE, OWNER, PATIENCE, SERVICE, Site, User, open_page, serve_site


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    # By default the own address in a peer connection is hidden behind a multicast name, which needs a network.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-features=WebRtcHideLocalIpsWithMdns"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=PATIENCE)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    install(HERE, "--ignore-scripts")
    with serve_site() as site:
        yield site


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hubbub(site: Site) -> AsyncIterator[Server]:
    """A server that pages of `site` may connect to."""
    async with Server(Settings(port=0, secret=SECRET, origins=(site.origin,), rate_limit=0)) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, site: Site, hubbub: Server) -> AsyncIterator[Callable[..., Awaitable[User]]]:
    """Open a page for a user: ``await visit("ada", group="g")``. Logged in, connected, and in the group if given."""
    async with AsyncExitStack() as stack:

        async def come(
            name: str,
            version: str = "158",
            *,
            group: str | None = None,
            connect: bool = True,
            server: Server = hubbub,
            tab_of: User | None = None,
            ids: tuple[str] | tuple[str, str] = (SERVICE, OWNER),
            **claims: Any,
        ) -> User:
            context = None if tab_of is None else tab_of.page.context
            user = await open_page(browser, site.page(version, server.url), name, context)
            if context is None:
                stack.push_async_callback(user.page.context.close)
            await user.log_in(*ids, **claims)
            if connect:
                await user.connect()
            if group is not None:
                await user.join(group)
            return user

        yield come


@pytest_asyncio.fixture(loop_scope="session")
async def peers(hubbub: Server) -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Open WebSockets that speak ``v1`` to the same server."""
    async with AsyncExitStack() as stack:

        async def open_and_keep(**options: Any) -> Peer:
            peer = await open_peer(hubbub, **options)
            stack.push_async_callback(peer.socket.close)
            return peer

        yield open_and_keep
