"""The demo page in Chromium: messages to the group and to one user."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import expect

from support.browser import JoinPeer, Person, StartServer, Visit, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


async def test_messages_are_delivered_and_counted(two: tuple[Person, Person]) -> None:
    alice, bob = two
    await alice.say("hello")
    await expect(bob.message("hello")).to_contain_text("Alice")
    await expect(alice.message("hello")).to_contain_text("delivered to 1")
    sign = alice.people.filter(has_text="Alice").locator(".avatar")
    colour = await sign.evaluate("(sign) => getComputedStyle(sign).backgroundColor")
    await expect(bob.message("hello").locator(".avatar")).to_have_css("background-color", colour)
    await expect(alice.message("hello")).to_have_count(1)  # its echo is not shown again
    await bob.page.get_by_role("button", name="Leave").click()
    await alice.sees_people("Alice")
    await alice.say("anybody?")
    await expect(alice.message("anybody?")).to_contain_text("nobody else is here")


async def test_a_private_message(two: tuple[Person, Person], visit: Visit) -> None:
    alice, bob = two
    eve = await visit("Eve")
    await eve.enter()
    await alice.page.get_by_role("button", name="Bob").first.click()
    await expect(alice.page.get_by_role("textbox", name="Private message to Bob")).to_be_focused()
    await alice.say("between us")
    await expect(bob.log).not_to_contain_text("between us")  # it has a log of its own
    await expect(bob.page).to_have_title("(1) lobby · Hubbub")
    await bob.private_rows.get_by_role("button", name="Alice 1 unread").click()
    await expect(bob.page).to_have_title("Alice · Hubbub")
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


async def test_any_json_is_shown(two: tuple[Person, Person], join_peer: JoinPeer) -> None:
    alice, _ = two
    robot = await join_peer("Robot", "lobby")
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


async def test_the_oldest_messages_are_removed(visit: Visit, start: StartServer, join_peer: JoinPeer) -> None:
    busy = await start(rate_limit=0)
    alice = await visit("Alice", at=busy)
    await alice.enter()
    robot = await join_peer("Robot", "lobby", at=busy)
    for number in range(510):  # without an id there is no reply to wait for
        post = {"do": "post", "to": {"group": "lobby"}, "message": f"number {number}"}
        await robot.socket.send(json.dumps(post))
    await expect(alice.message("number 509")).to_be_in_viewport()
    await expect(alice.log.get_by_role("article")).to_have_count(200)  # the others are there for scrolling back
    await alice.scroll_back_to("number 10")
    await expect(alice.log.get_by_role("article")).to_have_count(500)
    await expect(alice.message("number 10")).to_contain_text("Robot")  # the first one has the heading
    await expect(alice.log.get_by_text("Earlier messages are not kept")).to_be_visible()
    await robot.do("post", to={"group": "lobby"}, message="one more")
    await alice.page.get_by_role("button", name="New messages").click()
    await expect(alice.message("one more")).to_be_in_viewport()


async def test_links_can_be_clicked_and_are_safe(two: tuple[Person, Person]) -> None:
    alice, bob = two
    await alice.say('see https://example.com/a?b=<i>"c", javascript:alert(1) or www.example.org.')
    links = bob.log.get_by_role("link")
    await expect(links).to_have_text(["https://example.com/a?b=", "www.example.org"])
    assert await links.evaluate_all("(all) => all.map((each) => [each.href, each.target, each.rel])") == [
        ["https://example.com/a?b=", "_blank", "noopener noreferrer nofollow ugc"],
        ["https://www.example.org/", "_blank", "noopener noreferrer nofollow ugc"],
    ]
    await expect(bob.log.locator(".bubble")).to_have_text(
        'see https://example.com/a?b=<i>"c", javascript:alert(1) or www.example.org.'
    )
    await alice.say(f"{bob.page.url}")
    async with bob.page.context.expect_page() as opened:
        await bob.log.get_by_role("link").last.click()
    tab = await opened.value
    await expect(tab.get_by_label("Your name")).to_be_visible()  # a new tab is somebody else
    assert await tab.evaluate("window.opener") is None
    await expect(bob.text).to_be_visible()


async def test_each_conversation_has_its_own_log(two: tuple[Person, Person], join_peer: JoinPeer) -> None:
    alice, bob = two
    await alice.say("in the lobby")
    await bob.people.get_by_role("button", name="Alice").click()
    await bob.text.fill("a draft that is not for everyone")
    eve = await join_peer("Eve", "elsewhere")
    await eve.do("post", to={"user_id": "Bob"}, message="from another group")
    await alice.say("while Bob looks elsewhere")
    await expect(bob.page.get_by_role("button", name="Back to lobby 1 unread")).to_be_visible()
    await expect(bob.groups).to_have_text(["elsewhere1 user", "lobby2 users1 unread"])
    await expect(bob.page).to_have_title("(2) Alice · Hubbub")
    await bob.text.press("Escape")
    await expect(bob.text).to_have_value("")
    await expect(bob.message("while Bob looks elsewhere")).to_be_visible()
    await expect(bob.log).not_to_contain_text("from another group")
    await bob.groups.get_by_role("button", name="elsewhere").click()
    await bob.says_it_is_in("elsewhere")
    await expect(bob.log).not_to_contain_text("lobby")
    await alice.say("missed")
    await bob.groups.get_by_role("button", name="lobby").click()
    await bob.says_it_is_in("lobby")
    await expect(bob.log.locator(".bubble")).to_have_text(["in the lobby", "while Bob looks elsewhere", "missed"])
    await bob.private_rows.get_by_role("button", name="Eve 1 unread").click()
    await expect(bob.log.locator(".bubble")).to_have_text(["from another group"])
    await bob.people.get_by_role("button", name="Alice").click()
    await expect(bob.text).to_have_value("a draft that is not for everyone")
