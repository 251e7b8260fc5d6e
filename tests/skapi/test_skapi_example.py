"""The example page, with the client from npm in place of the one from its CDN."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Browser, Page, expect

from hubbub.auth.skapi_tokens import make_skapi_tokens
from hubbub.server import Server
from support.clients import SECRET
from support.skapi_pages import HERE, Site, needs_skapi, user_id

pytestmark = [needs_skapi, pytest.mark.asyncio(loop_scope="session")]

EXAMPLE = HERE.parents[1] / "examples" / "skapi_chat.html"
DOCS = (HERE.parents[1] / "docs" / "skapi.md").read_text()
SERVER = "http://127.0.0.1:8000"
CLIENT = "https://cdn.jsdelivr.net/npm/skapi-js@1.5.8/dist/skapi.js"


async def enter(browser: Browser, url: str, name: str) -> Page:
    page = await (await browser.new_context()).new_page()
    await page.goto(url)
    tokens = make_skapi_tokens(user_id(name), SECRET, "ap21mock00000000abcd", name=name)
    await page.get_by_label("Tokens").fill(json.dumps(tokens))
    await page.get_by_label("Group").fill("examples")
    await page.get_by_role("button", name="Join").click()
    await expect(page.get_by_label("Message")).to_be_visible()
    return page


async def test_a_chat(browser: Browser, site: Site, hubbub: Server) -> None:
    text = EXAMPLE.read_text()
    for line in (f'<script src="{SERVER}/point_skapi.js"></script>', f'<script src="{CLIENT}"></script>'):
        assert line in text
        assert line in DOCS  # where they are explained
    site.pages["/skapi_chat.html"] = text.replace(SERVER, hubbub.url).replace(CLIENT, "/skapi-158.js")
    ada = await enter(browser, f"{site.origin}/skapi_chat.html", "Ada")
    await expect(ada.get_by_role("status")).to_have_text("Here: Ada")
    bob = await enter(browser, f"{site.origin}/skapi_chat.html", "Bob")
    await expect(ada.get_by_role("log")).to_have_text("User Bob has joined the message group.")
    for page in (ada, bob):
        await expect(page.get_by_role("status")).to_have_text("Here: Ada, Bob")
    await ada.get_by_label("Message").fill("100% <b>hi</b>")
    await ada.get_by_role("button", name="Send").click()
    await expect(bob.get_by_role("log").get_by_role("listitem")).to_have_text(["Ada: 100% <b>hi</b>"])
    await expect(ada.get_by_label("Message")).to_have_value("")
    await bob.context.close()
    await expect(ada.get_by_role("log").get_by_role("listitem").last).to_have_text(
        "User Bob has been disconnected and left the message group."
    )
    await expect(ada.get_by_role("status")).to_have_text("Here: Ada")
    await ada.context.close()
