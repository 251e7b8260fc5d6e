"""The demo page in Chromium: what was said before, on joining, on scrolling back and after a reload."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from support.browser import JoinPeer, Person, Visit, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


async def test_a_late_comer_reads_the_history(visit: Visit, join_peer: JoinPeer) -> None:
    robot = await join_peer("Robot", "lobby")
    for number in range(150):
        await robot.do("post", to={"group": "lobby"}, message={"msg": f"number {number}"})
    alice = await visit("Alice")
    await alice.enter()
    await expect(alice.message("number 149")).to_be_in_viewport()
    await expect(alice.page.get_by_text("No messages yet")).to_be_hidden()
    await expect(alice.page).to_have_title("lobby · Hubbub")  # nothing of it is unread
    await expect(alice.message("number 149").locator(".time")).to_have_text("earlier")
    assert await alice.log.get_by_role("article").count() == 60
    await alice.scroll_back_to("number 0")
    first = alice.log.get_by_role("article").first
    await expect(first.locator(".bubble")).to_have_text("number 0")
    await expect(alice.message("number 149")).to_have_count(1)
    await expect(alice.log.get_by_text("Earlier messages are not kept")).to_have_count(0)


async def test_scrolling_back_does_not_move_what_is_read(visit: Visit, join_peer: JoinPeer) -> None:
    robot = await join_peer("Robot", "lobby")
    for number in range(100):
        await robot.do("post", to={"group": "lobby"}, message=f"number {number}")
    alice = await visit("Alice")
    await alice.enter()
    read = alice.message("number 45")
    await alice.log.evaluate("(log) => { log.scrollTop = 60; }")
    await expect(alice.log.get_by_role("article")).to_have_count(100)
    await expect(read).to_be_in_viewport()
    await robot.do("post", to={"group": "lobby"}, message="new")
    await expect(alice.page.get_by_role("button", name="New messages")).to_be_visible()
    await expect(read).to_be_in_viewport()


async def test_a_reload_keeps_the_name_the_group_and_the_messages(
    two: tuple[Person, Person], join_peer: JoinPeer
) -> None:
    alice, bob = two
    await bob.say("to everyone")
    await alice.say("my answer")
    await bob.people.get_by_role("button", name="Alice").click()
    await bob.say("between us")
    await alice.private_rows.get_by_role("button", name="Bob").click()
    await alice.say("yes, between us")
    await expect(alice.message("yes, between us")).to_contain_text("delivered to 1")
    await alice.text.fill("half a sentence")
    await alice.page.goto("about:blank")
    robot = await join_peer("Robot", "lobby")
    await robot.do("post", to={"group": "lobby"}, message="said during the reload")
    await bob.say("privately, during the reload")
    await expect(bob.message("privately, during the reload")).to_contain_text("this user is not connected")
    await alice.page.go_back()
    await expect(alice.page.get_by_role("status")).to_have_text("connected")
    await alice.says_it_is_in("Private messages with Bob")
    await expect(alice.log.locator(".bubble")).to_have_text(
        ["between us", "yes, between us", "privately, during the reload"]
    )
    await expect(alice.text).to_have_value("half a sentence")
    await alice.text.press("Escape")
    await alice.says_it_is_in("lobby")
    await expect(alice.log.locator(".bubble")).to_have_text(["to everyone", "my answer", "said during the reload"])
    await alice.sees_people("Alice", "Bob", "Robot")
    await alice.say("again")
    await expect(alice.message("again")).to_contain_text("delivered to 2")
    await expect(alice.message("again")).to_have_count(1)


async def test_after_leaving_nothing_is_kept(two: tuple[Person, Person]) -> None:
    alice, bob = two
    await bob.people.get_by_role("button", name="Alice").click()
    await bob.say("between us")
    await expect(alice.private_rows).to_have_count(1)
    await alice.page.get_by_role("button", name="Leave").click()
    await alice.page.reload()
    await expect(alice.page.get_by_label("Your name")).to_be_focused()
    assert await alice.page.evaluate("sessionStorage.length") == 0
    alice.name = "Carl"
    await alice.enter()
    await expect(alice.private_rows).to_have_count(0)
