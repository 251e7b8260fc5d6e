"""A page on a port that the server does not allow: both clients say what to do, in a browser and in a program."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from websockets.asyncio.server import ServerConnection, serve

from hubbub.client import connect
from hubbub.errors import CommandError, ErrorCode
from hubbub.server import Server
from support.browser import chromium, needs_chromium
from support.waiting import PATIENCE

Start = Callable[..., Awaitable[Server]]

PAGE = """<!doctype html><link rel="icon" href="data:,"><script type="module">
  import { Hubbub } from '%s/hubbub.js';
  const events = [];
  const client = new Hubbub('%s', %s);
  client.connectRealtime((event) => events.push(event.type)).then(
    (welcome) => (window.outcome = { user: welcome.user_id }),
    ({ code, message }) => (window.outcome = { code, message, events, state: client.state }),
  );
</script>"""


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@asynccontextmanager
async def page_server(html: str) -> AsyncIterator[str]:
    """Serve one page on a port of its own; give its origin."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}\r\nConnection: close\r\n\r\n"
        writer.write((head + html).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as running:
        yield f"http://localhost:{running.sockets[0].getsockname()[1]}"


async def outcome(browser: Browser, server: Server, credentials: dict[str, str]) -> tuple[str, dict[str, object]]:
    """Open a page on another port that connects to `server`; return its origin, and what became of it."""
    async with page_server(PAGE % (server.url, server.url, json.dumps(credentials))) as origin:
        page = await browser.new_page()
        await page.goto(f"{origin}/")
        seen = await page.wait_for_function("window.outcome", timeout=PATIENCE * 1000)
        result: dict[str, object] = await seen.json_value()
        await page.close()
    return origin, result


@needs_chromium
async def test_a_page_is_told_which_flag_is_missing(start: Start, browser: Browser) -> None:
    server = await start(secret="s" * 32)
    origin, refused = await outcome(browser, server, {"token": "any"})
    assert refused == {
        "code": "FORBIDDEN",
        "message": f"The server refused this page: origin {origin} is not allowed; add it to --origins of the server.",
        "events": ["error", "close"],
        "state": "closed",
    }


@needs_chromium
async def test_a_page_of_this_machine_connects_as_a_guest(server: Server, browser: Browser) -> None:
    _, welcomed = await outcome(browser, server, {"guest": "ada"})
    assert welcomed == {"user": "ada"}


@needs_chromium
async def test_a_reload_and_a_second_tab_keep_the_name_of_a_guest(server: Server, browser: Browser) -> None:
    page_of_ada = PAGE % (server.url, server.url, json.dumps({"guest": "ada"}))
    async with page_server(page_of_ada) as origin:
        ada, eve = await browser.new_context(), await browser.new_context()
        tabs = [await ada.new_page(), await ada.new_page()]
        for page in (*tabs, tabs[0]):  # the last time is a reload: its first connection may still be open
            await page.goto(f"{origin}/")
            seen = await page.wait_for_function("window.outcome", timeout=PATIENCE * 1000)
            assert await seen.json_value() == {"user": "ada"}
        other = await eve.new_page()
        await other.goto(f"{origin}/")
        refused = await (await other.wait_for_function("window.outcome", timeout=PATIENCE * 1000)).json_value()
        assert refused["code"] == "FORBIDDEN"
        assert refused["message"].startswith('The guest name "ada" is in use.')
        await ada.close()
        await eve.close()


async def test_a_program_is_told_the_same() -> None:
    """A proxy may add an origin to what the Python client sends, which has none."""
    reason = "origin https://proxy.example is not allowed; add it to --origins of the server"

    async def refuse(socket: ServerConnection) -> None:
        await socket.close(4008, reason)

    async with serve(refuse, "127.0.0.1", 0, subprotocols=["hubbub.v1"]) as running:  # type: ignore[list-item]
        port = running.sockets[0].getsockname()[1]
        with pytest.raises(CommandError) as caught:
            async with connect(f"http://127.0.0.1:{port}", guest="ada"):
                pass
    assert caught.value.code == ErrorCode.FORBIDDEN
    assert caught.value.message == f"The server refused the connection: {reason}."
