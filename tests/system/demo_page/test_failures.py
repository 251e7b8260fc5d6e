"""The demo page in Chromium: restarts, lost connections and errors."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from hubbub.server import Server
from hubbub.settings import Settings
from support.browser import Person, StartServer, Visit, needs_chromium
from support.clients import SECRET, token
from support.store import free_port

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


def forget_lost_connections(person: Person) -> None:
    """Remove what the browser itself says on the console about connections that cannot be opened."""
    assert all("WebSocket connection to" in complaint for complaint in person.complaints), person.complaints
    person.complaints.clear()


async def test_the_server_restarts(visit: Visit, start: StartServer) -> None:
    async with Server(Settings(port=free_port())) as first:
        alice = await visit("Alice", at=first)
        await alice.enter()
        await alice.say("said before")
        await expect(alice.message("said before")).to_contain_text("nobody else is here")
    state = alice.page.get_by_role("status")
    await expect(state).to_have_text("reconnecting …")
    port = int(first.url.rpartition(":")[2])
    async with Server(Settings(port=port)) as second:
        await expect(state).to_have_text("connected")
        await expect(alice.log).to_contain_text("Some messages may be missing here.")
        await expect(alice.log).to_contain_text("Connection lost, and reconnected.")
        await expect(alice.log).not_to_contain_text("private")  # there were none, so none is missing
        bob = await visit("Bob", at=second)
        await bob.enter()
        await alice.sees_people("Alice", "Bob")
        await alice.say("back again")
        await expect(bob.message("back again")).to_be_visible()
        await bob.people.get_by_role("button", name="Alice").click()
        await bob.say("psst")
        await alice.private_rows.get_by_role("button", name="Bob").click()
        await expect(alice.message("psst")).to_be_visible()
    await start(port=port)
    await expect(alice.log).to_contain_text("Some private messages may be missing here.")
    for person in alice, bob:
        forget_lost_connections(person)


async def test_messages_of_a_long_outage_are_delivered_once(visit: Visit, start: StartServer) -> None:
    async with Server(Settings(port=free_port())) as first:
        alice, bob = await visit("Alice", at=first), await visit("Bob", at=first)
        await alice.page.clock.install()
        for person in alice, bob:
            await person.enter()
        await alice.sees_people("Alice", "Bob")
    for person in alice, bob:
        await expect(person.page.get_by_role("status")).to_have_text("reconnecting …")
    await alice.say("one")
    await alice.say("two")
    await bob.say("three")
    await alice.page.clock.run_for(25_000)  # a call of the client waits for 10 s
    for text in "one", "two":
        await expect(alice.message(text)).to_contain_text("waiting for the connection")
    await bob.page.goto("about:blank")
    await start(port=int(first.url.rpartition(":")[2]))
    await alice.page.evaluate("dispatchEvent(new Event('online'))")  # connects at once, not at the next attempt
    await expect(alice.message("two")).to_contain_text("nobody else is here")
    await bob.page.go_back()  # what waits survives a reload
    await expect(bob.message("three")).to_contain_text("delivered to 1")
    await expect(alice.log.locator(".bubble")).to_have_text(["one", "two", "three"])
    await expect(bob.log.locator(".bubble")).to_have_text(["one", "two", "three"])
    for person in alice, bob:
        forget_lost_connections(person)


async def test_a_connection_that_ended_leads_back_to_the_login_form(visit: Visit, server: Server) -> None:
    alice = await visit("Alice")
    await alice.enter()
    server.node.close_connections("Alice", None)
    await expect(alice.page.get_by_role("status")).to_have_text("closed")
    await alice.page.get_by_role("button", name="Start again").click()
    await alice.enter()
    await expect(alice.page.get_by_role("status")).to_have_text("connected")


async def test_errors_are_readable(visit: Visit, start: StartServer) -> None:
    strict = await start(max_message=200, max_group_name=20, rate_limit=0.01, rate_burst=12)
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


async def test_a_server_with_a_secret_asks_for_a_token(visit: Visit, start: StartServer) -> None:
    secured = await start(secret=SECRET)
    alice = await visit("Alice", at=secured)
    field = alice.page.get_by_label("Token")
    await expect(field).to_be_focused()
    await expect(alice.page.get_by_label("Your name")).to_be_hidden()
    await expect(alice.page.locator("[data-snippet=browser]").first).to_contain_text('{ token: "YOUR-TOKEN" }')
    await expect(alice.page.locator("[data-snippet=python]").first).to_contain_text('token="YOUR-TOKEN"')
    await field.fill("nonsense")
    await field.press("Enter")
    await expect(alice.page.get_by_role("button", name="Join the group")).to_be_enabled()
    await expect(alice.page.get_by_role("alert").first).not_to_be_empty()
    await field.fill(token("Älice"))
    await field.press("Enter")
    await alice.sees_people("Älice")
    await alice.page.reload()
    await alice.sees_people("Älice")


async def test_where_both_are_accepted_the_form_offers_both(visit: Visit, start: StartServer) -> None:
    both = await start(secret=SECRET, guests=True)
    alice = await visit("Alice", at=both)
    await alice.page.get_by_role("button", name="Use a token").click()
    await expect(alice.page.get_by_label("Token")).to_be_focused()
    await alice.page.get_by_role("button", name="Join as a guest").click()
    await alice.enter()
    await alice.sees_people("guest:Alice")


async def test_an_expired_token_can_be_replaced(visit: Visit, start: StartServer) -> None:
    secured = await start(secret=SECRET, leeway=0)
    alice = await visit("Alice", at=secured)
    field = alice.page.get_by_label("Token")
    await field.fill(token("Alice", ttl=3))
    await field.press("Enter")
    await alice.say("before")
    await expect(alice.message("before")).to_contain_text("nobody else is here")
    await expect(alice.page.get_by_role("alert").filter(has_text="Your token has expired.")).to_be_visible()
    await expect(field).to_be_focused()
    await expect(field).to_have_value("")
    await field.fill(token("Alice"))
    await field.press("Enter")
    await expect(alice.page.get_by_role("status")).to_have_text("connected")
    await expect(alice.message("before")).to_have_count(1)
    await alice.say("after")
    await expect(alice.log.locator(".bubble")).to_have_text(["before", "after"])


async def test_another_user_sees_nothing_of_the_one_before(visit: Visit, start: StartServer) -> None:
    secured = await start(secret=SECRET)
    alice = await visit("Alice", at=secured)
    field = alice.page.get_by_label("Token")
    await field.fill(token("Alice"))
    await field.press("Enter")
    await alice.say("mine")
    await expect(alice.message("mine")).to_contain_text("nobody else is here")
    secured.node.close_connections("Alice", None)
    await alice.page.get_by_role("button", name="Start again").click()
    await field.fill(token("Bob"))
    await field.press("Enter")
    await alice.sees_people("Bob")
    await expect(alice.message("mine")).to_contain_text("Alice")  # from the history of the group, as everybody sees it
    await expect(alice.log.get_by_role("article")).to_have_count(1)
