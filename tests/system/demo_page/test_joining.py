"""The demo page in Chromium: joining and leaving."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.browser import JoinPeer, Person, Visit, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


async def test_one_key_joins(visit: Visit) -> None:
    guest = await visit("whoever")
    await expect(guest.page.get_by_label("Your name")).to_be_focused()
    suggested = await guest.page.get_by_label("Your name").input_value()
    await guest.page.keyboard.press("Enter")
    await guest.sees_people(suggested)
    await expect(guest.page.get_by_text("No messages yet")).to_be_visible()
    await expect(guest.page.get_by_role("status")).to_have_text("connected")


async def test_users_join_and_leave(two: tuple[Person, Person]) -> None:
    alice, bob = two
    await bob.sees_people("Bob", "Alice")
    await expect(alice.log).to_contain_text("Bob joined")
    await bob.page.get_by_role("button", name="Leave").click()
    await expect(alice.log).to_contain_text("Bob joined and left")
    await alice.sees_people("Alice")
    await expect(bob.page.get_by_label("Your name")).to_be_focused()
    await bob.enter()
    await alice.sees_people("Alice", "Bob")
    await bob.page.close()
    await expect(alice.log).to_contain_text("Bob joined and lost the connection")
    await alice.sees_people("Alice")


async def test_a_second_tab_is_not_announced(two: tuple[Person, Person], visit: Visit) -> None:
    alice, bob = two
    tab = await visit("Bob", storage_state=await bob.page.context.storage_state())  # a tab has the key of the other
    await tab.enter()
    bobs = alice.people.filter(has_text="Bob")
    await expect(bobs).to_have_text("BBob2 tabs")
    await tab.page.close()
    await expect(bobs).to_have_text("BBob")
    await bob.say("after that")
    await expect(alice.message("after that")).to_be_visible()
    assert await alice.log.get_by_text("Bob joined").count() == 1
    assert await alice.log.get_by_text("Bob lost").count() == 0


async def test_a_link_opens_a_group(visit: Visit) -> None:
    alice = await visit("Alice", "/#group=caf%C3%A9+%26+more")
    await expect(alice.page.get_by_label("Group").first).to_have_value("café & more")
    await alice.enter("café & more")
    await expect(alice.page).to_have_url(re.compile(r"/#group=caf%C3%A9\+%26\+more$"))
    await expect(alice.page.get_by_role("heading", level=1)).to_have_text("café & more")
    await alice.page.goto(alice.page.url.partition("#")[0] + "#group=elsewhere")
    await expect(alice.page.get_by_role("heading", level=1)).to_have_text("elsewhere")


async def test_joins_and_leaves_share_one_line(visit: Visit, join_peer: JoinPeer) -> None:
    alice = await visit("Alice")
    await alice.enter()
    await alice.say("first")
    peers = [await join_peer(f"Guest {number}", "lobby") for number in range(1, 7)]
    await alice.sees_people("Alice", *(f"Guest {number}" for number in range(1, 7)))
    await peers[4].do("leave")
    await peers[5].socket.close()
    await expect(alice.log.locator(".line").last).to_have_text(
        "Guest 1, Guest 2, Guest 3 and 1 other joined"
        " · Guest 5 joined and left · Guest 6 joined and lost the connection"
    )
    assert await alice.log.locator(".line").count() == 3  # this one, "You joined", and the hidden one at the top
    await alice.say("second")
    await peers[4].do("join", group="lobby")
    await expect(alice.log.locator("> *").last).to_have_text("Guest 5 joined")
