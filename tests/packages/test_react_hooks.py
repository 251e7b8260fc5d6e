"""The React hooks, built into a page with Vite and used in Chromium, in React's strict mode, which mounts all twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from hubbub.server import Server
from hubbub.settings import Settings
from support.browser import CHROMIUM, chromium, come
from support.clients import Peer
from support.npm import make_project, served, vite
from support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="!!! SKIPPED: no Chromium here: the React hooks are not tested (apt install chromium)"
)

Peers = Callable[..., Awaitable[Peer]]


@pytest.fixture(scope="session")
def built(archive: Path, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built."""
    return vite(make_project(tmp_path_factory.mktemp("react") / "project", archive, tools), "react_page.js")


@pytest.fixture
def origin(built: Path) -> Iterator[str]:
    """Where the page is served from."""
    with served(built) as origin:
        yield origin


@pytest.fixture
async def open_page(origin: str) -> AsyncIterator[Callable[[str], Awaitable[Page]]]:
    """Open the page of the server with this address; at the end it must not have complained."""
    async with chromium() as browser:
        opened = []

        async def open_one(url: str) -> Page:
            opened.append(await come(browser, f"{origin}/?server={url}", "ada"))
            return opened[-1].page

        yield open_one
        assert [each for person in opened for each in person.complaints if "WebSocket connection" not in each] == []


async def test_messages_members_and_posts(
    start: Callable[..., Awaitable[Server]], origin: str, open_page: Callable[[str], Awaitable[Page]], peers: Peers
) -> None:
    server = await start(origins=(origin,))
    zoe = await peers(server, guest="zoe", group="one")
    await zoe.ask("post", to="one", message="before")
    page = await open_page(server.url)
    await expect(page.locator("#joined")).to_have_text("joined one")
    await expect(page.locator("#state")).to_have_text("connected")
    await expect(page.locator("#members")).to_have_text("ada zoe")
    await expect(page.locator("li")).to_have_text(["zoe: before"])  # the history
    await page.get_by_role("button", name="post").click()
    await expect(page.locator("li")).to_have_text(["zoe: before", "ada: hello"])
    for number in range(3):
        await zoe.ask("post", to="one", message=f"{number}")
    await expect(page.locator("li")).to_have_text(["zoe: 0", "zoe: 1", "zoe: 2"])  # the limit of three
    await peers(server, guest="bob", group="one")
    await expect(page.locator("#members")).to_have_text("ada bob zoe")
    await zoe.ask("join", group="two")
    await expect(page.locator("#members")).to_have_text("ada bob")


async def test_another_group_another_name_and_the_end(
    start: Callable[..., Awaitable[Server]], origin: str, open_page: Callable[[str], Awaitable[Page]], peers: Peers
) -> None:
    server = await start(origins=(origin,))
    zoe = await peers(server, guest="zoe", group="two")
    page = await open_page(server.url)
    await expect(page.locator("#joined")).to_have_text("joined one")
    await page.get_by_role("button", name="two").click()
    await expect(page.locator("#joined")).to_have_text("joined two")
    await expect(page.locator("#members")).to_have_text("ada zoe")
    await page.get_by_role("button", name="rename").click()  # another guest is another connection
    await expect(page.locator("#members")).to_have_text("bea zoe")
    await page.get_by_role("button", name="leave").click()
    await expect(page.locator("#joined")).to_have_text("not joined")
    await expect(page.locator("#members")).to_have_text("")
    await page.get_by_role("button", name="two").click()
    await expect(page.locator("#members")).to_have_text("bea zoe")
    await page.get_by_role("button", name="unmount").click()
    async with asyncio.timeout(PATIENCE):
        while len((await zoe.do("users", group="two"))["list"]) > 1:
            pass  # until the server has heard of it


async def test_it_returns_after_a_restart_of_the_server_and_lists_anew(
    origin: str, open_page: Callable[[str], Awaitable[Page]], peers: Peers
) -> None:
    async with Server(Settings(port=0, origins=(origin,))) as server:
        page = await open_page(server.url)
        await peers(server, guest="zoe", group="one")
        await expect(page.locator("#members")).to_have_text("ada zoe")
        port = int(server.url.rpartition(":")[2])
    await expect(page.locator("#state")).to_have_text("reconnecting")
    async with Server(Settings(port=port, origins=(origin,))):
        await expect(page.locator("#state")).to_have_text("connected")
        await expect(page.locator("#members")).to_have_text("ada")  # zoe has not come back


async def test_a_refusal_is_an_error(
    start: Callable[..., Awaitable[Server]], origin: str, open_page: Callable[[str], Awaitable[Page]]
) -> None:
    server = await start(origins=(origin,), secret="s" * 40)  # which lets no guests in
    page = await open_page(server.url)
    await expect(page.locator("#error")).not_to_have_text("")
    await expect(page.locator("#state")).to_have_text("closed")
