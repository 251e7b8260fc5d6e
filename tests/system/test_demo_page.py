"""The demo page in real Chromium, with two people in it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from hubbub.server import Server
from hubbub.settings import Settings
from support.browser import CHROMIUM, PALE, PHONE, SHOWS_FOCUS, SPILLS, Person, chromium, come
from support.clients import SECRET, Peer, open_peer, token

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: make browser installs it"),
    pytest.mark.asyncio(loop_scope="module"),  # one browser for all, so one loop for all
]

Visit = Callable[..., Awaitable[Person]]
Start = Callable[..., Awaitable[Server]]
Crowd = Callable[..., Awaitable[Peer]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def start() -> AsyncIterator[Start]:
    """Start servers with these settings."""
    async with AsyncExitStack() as stack:

        async def start_server(**settings: Any) -> Server:
            return await stack.enter_async_context(Server(Settings(**{"port": 0, **settings})))

        yield start_server


@pytest_asyncio.fixture(loop_scope="module")
async def server(start: Start) -> Server:
    return await start()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser, server: Server) -> AsyncIterator[Visit]:
    """Open the page for somebody. At the end nobody's console may show an error, unless a test took it away."""
    came: list[Person] = []

    async def open_page(name: str, path: str = "/", at: Server = server, **options: Any) -> Person:
        came.append(await come(browser, at.url + path, name, **options))
        return came[-1]

    yield open_page
    await asyncio.gather(*(person.page.context.close() for person in came))
    assert [complaint for person in came for complaint in person.complaints] == []


@pytest_asyncio.fixture(loop_scope="module")
async def two(visit: Visit) -> tuple[Person, Person]:
    """Alice and Bob, both in the lobby."""
    alice, bob = await asyncio.gather(visit("Alice"), visit("Bob"))
    await alice.enter()
    await bob.enter()
    await alice.sees_people("Alice", "Bob")
    return alice, bob


@pytest_asyncio.fixture(loop_scope="module")
async def crowd(server: Server) -> AsyncIterator[Crowd]:
    """Let others in, without a browser."""
    async with AsyncExitStack() as stack:

        async def let_in(guest: str, group: str, at: Server = server) -> Peer:
            peer = await open_peer(at, guest=guest, group=group)
            stack.push_async_callback(peer.socket.close)
            return peer

        yield let_in


# --- coming and going ---


async def test_the_door_needs_one_key(visit: Visit) -> None:
    guest = await visit("whoever")
    await expect(guest.page.get_by_label("Your name")).to_be_focused()
    suggested = await guest.page.get_by_label("Your name").input_value()
    await guest.page.keyboard.press("Enter")
    await guest.sees_people(suggested)
    await expect(guest.page.get_by_text("No messages yet")).to_be_visible()
    await expect(guest.page.get_by_role("status")).to_have_text("connected")


async def test_people_come_and_go(two: tuple[Person, Person]) -> None:
    alice, bob = two
    await bob.sees_people("Bob", "Alice")
    await expect(alice.log).to_contain_text("Bob joined")
    await bob.page.get_by_role("button", name="Leave").click()
    await expect(alice.log).to_contain_text("Bob left")
    await alice.sees_people("Alice")
    await expect(bob.page.get_by_label("Your name")).to_be_focused()
    await bob.enter()
    await alice.sees_people("Alice", "Bob")
    await bob.page.close()
    await expect(alice.log).to_contain_text("Bob lost the connection")
    await alice.sees_people("Alice")


async def test_a_second_tab_is_no_newcomer(two: tuple[Person, Person], visit: Visit) -> None:
    alice, bob = two
    tab = await visit("Bob")
    await tab.enter()
    bobs = alice.people.filter(has_text="Bob")
    await expect(bobs).to_have_text("BBob2 tabs")
    await tab.page.close()
    await expect(bobs).to_have_text("BBob")
    await bob.say("after that")
    await expect(alice.message("after that")).to_be_visible()
    assert await alice.log.get_by_text("Bob joined").count() == 1
    assert await alice.log.get_by_text("Bob lost").count() == 0


async def test_a_link_leads_into_a_group(visit: Visit) -> None:
    alice = await visit("Alice", "/#group=caf%C3%A9+%26+more")
    await expect(alice.page.get_by_label("Group").first).to_have_value("café & more")
    await alice.enter("café & more")
    await expect(alice.page).to_have_url(re.compile(r"/#group=caf%C3%A9\+%26\+more$"))
    await expect(alice.page.get_by_role("heading", level=1)).to_have_text("café & more")
    await alice.page.goto(alice.page.url.partition("#")[0] + "#group=elsewhere")
    await expect(alice.page.get_by_role("heading", level=1)).to_have_text("elsewhere")


# --- talking ---


async def test_what_is_said_is_heard_and_counted(two: tuple[Person, Person]) -> None:
    alice, bob = two
    await alice.say("hello")
    await expect(bob.message("hello")).to_contain_text("Alice")
    await expect(alice.message("hello")).to_contain_text("delivered to 1")
    sign = alice.people.filter(has_text="Alice").locator(".avatar")
    colour = await sign.evaluate("(sign) => getComputedStyle(sign).backgroundColor")
    await expect(bob.message("hello").locator(".avatar")).to_have_css("background-color", colour)
    await expect(alice.message("hello")).to_have_count(1)  # its echo is not shown once more
    await bob.page.get_by_role("button", name="Leave").click()
    await alice.sees_people("Alice")
    await alice.say("anybody?")
    await expect(alice.message("anybody?")).to_contain_text("nobody else is here")


async def test_a_private_word(two: tuple[Person, Person], visit: Visit) -> None:
    alice, bob = two
    eve = await visit("Eve")
    await eve.enter()
    await alice.page.get_by_role("button", name="Bob").first.click()
    await expect(alice.page.get_by_role("textbox", name="Private message to Bob")).to_be_focused()
    await alice.say("between us")
    await expect(bob.message("between us")).to_contain_text("only to you")
    await expect(alice.message("between us")).to_contain_text("delivered to 1")
    await alice.text.press("Escape")
    await expect(alice.page.get_by_role("textbox", name="Message to the group")).to_be_focused()
    await alice.say("for all")
    await expect(eve.message("for all")).to_be_visible()
    await expect(eve.message("between us")).to_have_count(0)


async def test_what_people_type_stays_text(visit: Visit) -> None:
    attack = "<img src=/x onerror=\"document.title='hacked'\">"
    zalgo = "Z" + "\u0335\u0321\u0353\u0349\u0308\u0301" * 20
    alice, bob = await visit(attack), await visit("\u202eevil")
    await alice.enter(attack)
    await bob.enter(attack)
    await bob.say(attack)
    await bob.say(zalgo)
    await expect(alice.message(attack)).to_contain_text("\u202eevil")
    await expect(bob.people.filter(has_text=attack)).to_have_count(1)
    await expect(alice.groups.filter(has_text=attack)).to_have_count(1)
    await expect(alice.page).to_have_title(f"{attack} · Hubbub")
    for person in alice, bob:
        assert await person.page.locator("img[src='/x']").count() == 0
        # An override of the direction, or a pile of accents, stays inside the box it came in.
        assert await person.page.get_by_text("\u202eevil", exact=True).evaluate_all(
            "(all) => all.every((each) => each.closest('bdi'))"
        )
    box = alice.message(zalgo).locator(".bubble")
    assert await box.evaluate("(box) => box.clientHeight < 50 && getComputedStyle(box).overflow !== 'visible'")


async def test_any_json_is_shown(two: tuple[Person, Person], crowd: Crowd) -> None:
    alice, _ = two
    robot = await crowd("Robot", "lobby")
    for sent, shown in (
        (None, "null"),
        (0, "0"),
        ("", ""),
        ("plain", "plain"),
        ({"msg": {"x": 1}}, '"x": 1'),
        ([1], "1"),
    ):
        await robot.do("post", to={"group": "lobby"}, message=sent)
        await expect(alice.log.get_by_role("article").last.locator(".bubble")).to_contain_text(shown)


async def test_old_messages_make_room(visit: Visit, start: Start, crowd: Crowd) -> None:
    busy = await start(rate_limit=0)
    alice = await visit("Alice", at=busy)
    await alice.enter()
    robot = await crowd("Robot", "lobby", at=busy)
    for number in range(510):  # without an id there is no reply to wait for
        post = {"do": "post", "to": {"group": "lobby"}, "message": f"number {number}"}
        await robot.socket.send(json.dumps(post))
    await expect(alice.message("number 509")).to_be_in_viewport()
    await expect(alice.log.locator("> *")).to_have_count(500)
    await alice.log.evaluate("(log) => { log.scrollTop = 0; }")
    await expect(alice.message("number 10")).to_contain_text("Robot")  # the first one has the heading now
    await robot.do("post", to={"group": "lobby"}, message="one more")
    await alice.page.get_by_role("button", name="New messages").click()
    await expect(alice.message("one more")).to_be_in_viewport()


# --- the groups ---


async def test_the_groups_change_while_one_looks(two: tuple[Person, Person], crowd: Crowd) -> None:
    alice, bob = two
    await expect(alice.groups).to_have_text(["lobby2 users"])
    gardener = await crowd("Gardener", "garden")
    await expect(alice.groups).to_have_text(["garden1 user", "lobby2 users"])
    await bob.groups.get_by_role("button", name="garden").click()
    await expect(bob.page.get_by_role("heading", level=1)).to_have_text("garden")
    await expect(alice.log).to_contain_text("Bob left")
    await expect(alice.groups).to_have_text(["garden2 users", "lobby1 user"])
    await gardener.socket.close()
    await expect(alice.groups).to_have_text(["garden1 user", "lobby1 user"])


async def test_searching_the_groups(visit: Visit, crowd: Crowd) -> None:
    for number in range(24):
        await crowd(f"guest {number}", f"room {number:02}")
    await crowd("guest x", "room 07")
    alice = await visit("Alice")
    await alice.enter("zoo")
    await expect(alice.groups).to_have_count(20)
    await alice.page.get_by_role("button", name="Load more").click()
    await expect(alice.groups).to_have_count(25)
    await expect(alice.page.get_by_role("button", name="Load more")).to_be_hidden()
    await alice.page.get_by_role("button", name="Order: A to Z").click()
    await expect(alice.groups.first).to_have_text("zoo1 user")
    await alice.page.get_by_label("Group name starts with").fill("room 2")
    await expect(alice.groups.locator("bdi")).to_have_text(["room 23", "room 22", "room 21", "room 20"])
    await alice.page.get_by_text("Users", exact=True).click()
    await alice.page.get_by_label("At least").fill("2")
    await expect(alice.groups).to_have_text(["room 072 users"])


async def test_a_name_that_is_not_found_can_be_started(visit: Visit) -> None:
    alice = await visit("Alice")
    await alice.enter()
    await alice.page.get_by_label("Group name starts with").fill("brand new")
    await alice.page.get_by_role("button", name="Start brand new").click()
    await expect(alice.page.get_by_role("heading", level=1)).to_have_text("brand new")
    await expect(alice.page).to_have_url(re.compile("#group=brand\\+new$"))


# --- when something is wrong ---


async def test_the_server_restarts(visit: Visit, start: Start) -> None:
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


async def test_a_connection_closed_for_good_leads_back_to_the_door(visit: Visit, server: Server) -> None:
    alice = await visit("Alice")
    await alice.enter()
    server.node.disconnect("Alice", None)
    await expect(alice.page.get_by_role("status")).to_have_text("closed")
    await alice.page.get_by_role("button", name="Start again").click()
    await alice.enter()
    await expect(alice.page.get_by_role("status")).to_have_text("connected")


async def test_refusals_are_readable(visit: Visit, start: Start) -> None:
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


async def test_without_guests_the_page_asks_for_a_token(visit: Visit, start: Start) -> None:
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


# --- for everybody ---


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
    await expect(bob.message("psst")).to_contain_text("only to you")
    await page.keyboard.press("Escape")
    await tab_to(alice, page.get_by_role("button", name="Build this"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await tab_to(alice, page.get_by_label("Group name starts with"))
    await page.keyboard.type("garden")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("garden")
    await expect(alice.text).to_be_focused()


async def test_a_phone_has_room_for_it(visit: Visit, crowd: Crowd) -> None:
    long = "W" * 120
    alice = await visit("Alice", viewport=PHONE)
    assert await alice.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert await alice.page.evaluate(SPILLS) == []
    await alice.enter(long)
    robot = await crowd(long, long)
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
async def test_the_colours_have_contrast(visit: Visit, crowd: Crowd, scheme: str) -> None:
    alice = await visit("Alice", color_scheme=scheme)
    assert await alice.page.evaluate(PALE) == []
    await alice.enter()
    people = [await crowd(f"user {number}", "lobby") for number in range(12)]
    for person in people:
        await person.do("post", to={"group": "lobby"}, message="hello")
    await people[0].do("post", to={"user_id": "Alice"}, message="psst")
    await alice.say("hello, all")
    await expect(alice.message("hello, all")).to_contain_text("delivered to 12")
    await alice.people.get_by_role("button", name="user 3").click()
    assert await alice.page.evaluate(PALE) == []


async def test_the_program_for_browsers_works(two: tuple[Person, Person]) -> None:
    alice, bob = two
    program = await alice.page.locator("#build-dialog [data-snippet=browser]").text_content()
    assert program is not None
    assert len(program.splitlines()) == 6
    await bob.page.evaluate(f"(async () => {{ {program} }})()")
    await expect(alice.message("Hello")).to_contain_text("Ada")


async def test_the_program_for_python_works(two: tuple[Person, Person]) -> None:
    alice, _ = two
    program = await alice.page.locator("#build-dialog [data-snippet=python]").text_content()
    assert program is not None
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await expect(alice.message("Hello")).to_contain_text("Grace")
    finally:
        running.kill()
        await running.wait()
