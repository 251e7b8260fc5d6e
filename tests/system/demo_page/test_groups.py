"""The demo page in Chromium: the list of groups."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from hubbub.server import Server
from support.browser import JoinPeer, Person, Visit, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


async def test_the_list_of_groups_is_live(server: Server, two: tuple[Person, Person], join_peer: JoinPeer) -> None:
    alice, bob = two
    await expect(alice.groups).to_have_text(["lobby2 users"])
    gardener = await join_peer("Gardener", "garden")
    await expect(alice.groups).to_have_text(["garden1 user", "lobby2 users"])
    await bob.groups.get_by_role("button", name="garden").click()
    await expect(bob.page.get_by_role("heading", level=1)).to_have_text("garden")
    await expect(alice.log).to_contain_text("Bob joined and left")
    await expect(alice.groups).to_have_text(["garden2 users", "lobby1 user"])
    await gardener.socket.close()
    await expect(alice.groups).to_have_text(["garden1 user", "lobby1 user"])
    await expect(bob.people).to_have_count(1)
    assert not [command for command, _ in server.node.counters.commands if command in {"groups", "users"}]  # no polling


async def test_searching_the_groups(visit: Visit, join_peer: JoinPeer) -> None:
    for number in range(24):
        await join_peer(f"guest {number}", f"Room {number * 6}")
    await join_peer("guest x", "Room 42")
    alice = await visit("Alice")
    await alice.enter("zoo")
    names = alice.groups.locator("bdi")
    await expect(names).to_have_text([f"Room {number * 6}" for number in range(20)])  # "Room 12" before "Room 102"
    await alice.page.get_by_role("button", name="Load more").click()
    await expect(alice.groups).to_have_count(25)
    await expect(alice.page.get_by_role("button", name="Load more")).to_be_hidden()
    await alice.page.get_by_role("button", name="Order: A to Z").click()
    await expect(alice.groups.first).to_have_text("zoo1 user")
    search = alice.page.get_by_label("Search the groups")
    await search.fill("M 10")  # a part of the name, in any case
    await expect(names).to_have_text(["Room 108", "Room 102"])
    await search.fill("12 rOOm")  # all words, in any order
    await expect(names).to_have_text(["Room 126", "Room 120", "Room 12"])
    await search.fill("no such name")
    await expect(alice.page.get_by_text("No group has such a name.")).to_be_visible()
    await alice.page.get_by_text("Users", exact=True).click()
    await expect(alice.page.get_by_role("button", name="Order: Biggest first")).to_be_visible()
    await expect(alice.groups.first).to_have_text("Room 422 users")
    await alice.page.get_by_label("At least").fill("2")
    await expect(alice.groups).to_have_text(["Room 422 users"])


async def test_a_new_group_can_be_started(visit: Visit) -> None:
    alice = await visit("Alice")
    await alice.enter()
    await alice.page.get_by_label("Search the groups").fill("brand new")
    await alice.page.get_by_role("button", name="Start brand new").click()
    await expect(alice.page.get_by_role("heading", level=1)).to_have_text("brand new")
    await expect(alice.page).to_have_url(re.compile("#group=brand\\+new$"))
