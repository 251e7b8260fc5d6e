"""A page on a port that the server does not allow: both clients say what to do, in a browser and in a program."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from websockets.asyncio.server import ServerConnection, serve

from hubbub.client import connect
from hubbub.errors import CommandError, ErrorCode
from hubbub.server import Server
from support.browser import chromium, needs_chromium

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


async def outcome(browser: Browser, server: Server, credentials: dict[str, str], origin: str) -> dict[str, object]:
    """Open a page of `origin` that connects to `server`; return what became of it."""
    page = await browser.new_page()
    html = PAGE % (server.url, server.url, json.dumps(credentials))
    await page.route(f"{origin}/**", lambda route: route.fulfill(body=html, content_type="text/html"))
    await page.goto(f"{origin}/")
    seen = await page.wait_for_function("window.outcome", timeout=10_000)
    result: dict[str, object] = await seen.json_value()
    await page.close()
    return result


@needs_chromium
async def test_a_page_is_told_which_flag_is_missing(start: Start, browser: Browser) -> None:
    server = await start(secret="s" * 32)
    refused = await outcome(browser, server, {"token": "any"}, "http://localhost:5173")
    assert refused == {
        "code": "FORBIDDEN",
        "message": "The server refused this page: origin http://localhost:5173 is not allowed; "
        "add it to --origins of the server.",
        "events": ["error", "close"],
        "state": "closed",
    }


@needs_chromium
async def test_a_page_of_this_machine_connects_as_a_guest(server: Server, browser: Browser) -> None:
    assert await outcome(browser, server, {"guest": "ada"}, "http://localhost:5173") == {"user": "ada"}


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
