"""The demo page in Chromium: restarts, lost connections and errors."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from hubbub.server import Server
from hubbub.settings import Settings
from support.browser import StartServer, Visit, needs_chromium
from support.clients import SECRET, token

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


async def test_the_server_restarts(visit: Visit, start: StartServer) -> None:
    async with Server(Settings(port=0)) as first:
        alice = await visit("Alice", at=first)
        await alice.enter()
    state = alice.page.get_by_role("status")
    await expect(state).to_have_text("reconnecting …")
    second = await start(port=int(first.url.rpartition(":")[2]))
    await expect(state).to_have_text("connected")
    await expect(alice.log).to_contain_text("Some messages may be missing here.")
    bob = await visit("Bob", at=second)
    await bob.enter()
    await alice.sees_people("Alice", "Bob")
    await alice.say("back again")
    await expect(bob.message("back again")).to_be_visible()
    assert all("WebSocket connection to" in complaint for complaint in alice.complaints)  # the browser's own words
    alice.complaints.clear()


async def test_a_connection_that_ended_leads_back_to_the_login_form(visit: Visit, server: Server) -> None:
    alice = await visit("Alice")
    await alice.enter()
    server.node.close_connections("Alice", None)
    await expect(alice.page.get_by_role("status")).to_have_text("closed")
    await alice.page.get_by_role("button", name="Start again").click()
    await alice.enter()
    await expect(alice.page.get_by_role("status")).to_have_text("connected")


async def test_errors_are_readable(visit: Visit, start: StartServer) -> None:
    strict = await start(max_message=200, max_group_name=20, rate_limit=0.5, rate_burst=12)
    alice = await visit("Alice", at=strict)
    await alice.page.get_by_label("Group").first.fill("a name that is much too long")
    await alice.page.get_by_role("button", name="Join the group").click()
    await expect(alice.page.get_by_role("alert").filter(has_text="20 characters")).to_be_visible()
    await alice.enter()
    await alice.say("long " * 100)
    await expect(alice.log.get_by_role("article").last).to_contain_text("The message is too long.")
    for number in range(12):
        await alice.say(str(number))
    await expect(alice.log.get_by_role("article").last).to_contain_text("Too many requests at once.")
    await expect(alice.log.get_by_role("button", name="Send again").last).to_be_visible()


async def test_without_guests_the_page_asks_for_a_token(visit: Visit, start: StartServer) -> None:
    secured = await start(secret=SECRET)
    alice = await visit("Alice", at=secured)
    await alice.page.get_by_role("button", name="Join the group").click()
    await expect(alice.page.get_by_role("alert").filter(has_text="connect with a token")).to_be_visible()
    field = alice.page.get_by_label("Token")
    await expect(field).to_be_focused()
    await field.fill("nonsense")
    await field.press("Enter")
    await expect(alice.page.get_by_role("button", name="Join the group")).to_be_enabled()
    await expect(alice.page.get_by_role("alert").first).not_to_be_empty()
    await field.fill(token("Älice"))
    await field.press("Enter")
    await alice.sees_people("Älice")
