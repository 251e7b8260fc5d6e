"""The demo page in Chromium: keyboard, small screens and contrast."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, expect

from support.browser import DESKTOP, PALE, PHONE, SHOWS_FOCUS, SPILLS, JoinPeer, Person, Visit, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


async def tab_to(person: Person, target: Locator) -> None:
    """Press Tab until `target` has the focus. Whatever has it on the way must show it."""
    for _ in range(40):
        await person.page.keyboard.press("Tab")
        assert await person.page.evaluate(SHOWS_FOCUS)
        if await target.evaluate("(target) => target === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {target}")


async def test_the_keyboard_is_enough(two: tuple[Person, Person]) -> None:
    alice, bob = two
    page = alice.page
    await page.keyboard.type("one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    await page.keyboard.press("Enter")
    await expect(bob.log.locator(".bubble")).to_have_text("one\ntwo")
    await tab_to(alice, alice.people.get_by_role("button", name="Bob"))
    await page.keyboard.press("Enter")
    await page.keyboard.type("psst")
    await page.keyboard.press("Enter")
    await tab_to(bob, bob.private_rows.get_by_role("button", name="Alice"))
    await bob.page.keyboard.press("Enter")
    await expect(bob.message("psst")).to_contain_text("only to you")
    await page.keyboard.press("Escape")
    await tab_to(alice, page.get_by_role("button", name="Build this"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await tab_to(alice, page.get_by_label("Search the groups"))
    await page.keyboard.type("garden")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("garden")
    await expect(alice.text).to_be_focused()


async def test_the_page_has_landmarks_and_one_heading(two: tuple[Person, Person], visit: Visit) -> None:
    alice, bob = two
    await bob.people.get_by_role("button", name="Alice").click()
    await bob.say("psst")
    await expect(alice.private_rows).to_have_count(1)
    login = await visit("Eve")
    for page in alice.page, bob.page, login.page:
        await expect(page.get_by_role("main")).to_have_count(1)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        unnamed = await page.evaluate(
            "() => [...document.querySelectorAll('section, nav')].filter((each) => each.checkVisibility() && "
            "!each.ariaLabel && !document.getElementById(each.getAttribute('aria-labelledby')))"
            ".map((each) => each.id)"
        )
        assert unnamed == []
    await expect(alice.page.get_by_role("banner").get_by_role("heading", level=1)).to_have_text("lobby")
    await expect(bob.page.get_by_role("heading", level=1)).to_have_text("Private messages with Alice")
    await expect(alice.page.get_by_role("main").get_by_role("log")).to_have_count(1)
    await expect(alice.page.get_by_role("region", name="Private messages")).to_be_visible()


@pytest.mark.parametrize(
    "viewport", [PHONE, {"width": 780, "height": 600}, DESKTOP], ids=["phone", "tablet", "desktop"]
)
async def test_long_names_leave_room_for_the_rest(visit: Visit, join_peer: JoinPeer, viewport: dict[str, int]) -> None:
    long = "long and wide names " * 12
    alice = await visit("W" * 250, viewport=viewport)
    await alice.enter(long)
    robot = await join_peer("M" * 250, long)
    await robot.do("post", to={"group": long}, message="hello")
    await robot.do("post", to={"user_id": alice.name}, message="psst")
    await expect(alice.message("hello")).to_be_visible()
    page = alice.page
    assert await page.evaluate(SPILLS) == []
    for _ in "the group", "the private conversation":
        bar = await page.get_by_role("banner").bounding_box()
        assert bar is not None
        assert bar["height"] < 64
        for name in "Copy link", "Build this", "Leave":
            button = await page.get_by_role("button", name=name).bounding_box()
            assert button is not None
            assert button["x"] + button["width"] <= viewport["width"]
        state = await page.get_by_role("status").bounding_box()
        assert state is not None
        assert state["height"] < 30  # one line
        if await page.get_by_role("navigation").is_visible():
            await page.get_by_role("navigation").get_by_role("button", name="People").click()
        await alice.private_rows.get_by_role("button").click()
        await expect(alice.message("psst")).to_be_visible()
        assert await page.evaluate(SPILLS) == []


async def test_everything_fits_a_phone(visit: Visit, join_peer: JoinPeer) -> None:
    long = "W" * 120
    alice = await visit("Alice", viewport=PHONE)
    assert await alice.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert await alice.page.evaluate(SPILLS) == []
    await alice.enter(long)
    robot = await join_peer(long, long)
    await robot.do("post", to={"group": long}, message=long)
    await expect(alice.message(long)).to_be_visible()
    for view in "Groups", "People", "Chat":
        await alice.page.get_by_role("navigation").get_by_role("button", name=view).click()
        assert await alice.page.evaluate(SPILLS) == []
    await alice.page.get_by_role("navigation").get_by_role("button", name="People").click()
    await robot.do("post", to={"group": long}, message="look here")
    await expect(alice.page.get_by_role("button", name="Chat 1")).to_be_visible()
    await alice.people.get_by_role("button").click()
    await expect(alice.page.get_by_role("textbox", name=f"Private message to {long}")).to_be_focused()
    assert await alice.page.evaluate(SPILLS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_colours_have_contrast(visit: Visit, join_peer: JoinPeer, scheme: str) -> None:
    alice = await visit("Alice", color_scheme=scheme)
    assert await alice.page.evaluate(PALE) == []
    await alice.enter()
    people = [await join_peer(f"user {number}", "lobby") for number in range(12)]
    for person in people:
        await person.do("post", to={"group": "lobby"}, message="hello")
    await people[0].do("post", to={"user_id": "Alice"}, message="psst")
    await alice.say("hello, all")
    await expect(alice.message("hello, all")).to_contain_text("delivered to 12")
    assert await alice.page.evaluate(PALE) == []  # the badge of the private message is among the texts
    await alice.private_rows.get_by_role("button", name="user 0").click()
    await expect(alice.message("psst")).to_be_visible()
    await alice.say("see https://example.com")
    await people[1].do("post", to={"group": "lobby"}, message="one more")
    await expect(alice.page.get_by_role("button", name="Back to lobby 1 unread")).to_be_visible()
    assert await alice.page.evaluate(PALE) == []
