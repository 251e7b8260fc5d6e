"""Connections that are in a group without being a member, also when the backend fails at some point."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.auth.authenticator import make_token
from hubbub.backends.memory import MemoryBackend
from hubbub.errors import StoreError
from hubbub.groups.history import Replay
from hubbub.messages import Position, UserRow
from hubbub.node import Node
from support.fake_link import SECRET, FakeLink, make_node, settle


class Waiting(MemoryBackend):
    """A backend whose commands run in tasks, as on a store."""

    immediate = False


class Failing(Waiting):
    """A store that stops to answer: it refuses to let anybody listen and, if it is to, join."""

    joins_too = False

    async def listen(
        self, group: str, since: Position | None = None, history: int = 0, charged: str | None = None
    ) -> Replay:
        raise StoreError("away")

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        if self.joins_too:
            raise StoreError("away")
        return await super().join(user, group, since, history)


@pytest.fixture(params=[MemoryBackend, Waiting])
async def node(request: pytest.FixtureRequest) -> Node:
    return make_node(request.param(), secret=SECRET)


async def enter(node: Node, user: str, **rights: Any) -> FakeLink:
    end = FakeLink(f"c{len(node.sessions)}", node)
    assert "ok" in await ask(end, do="connect", token=make_token(user, SECRET, now=1000.0, **rights))
    return end


async def ask(end: FakeLink, **command: Any) -> dict[str, Any]:
    """Send a command and return its reply."""
    end.say(id=99, **command)
    await settle(end.node)
    while end.session._busy:
        await settle(end.node)
    return [frame for frame in end.heard() if frame.get("id") == 99][-1]


async def new_events(end: FakeLink) -> list[dict[str, Any]]:
    """Return the events since the last call."""
    await settle(end.node)
    frames = end.heard()
    end.written = b""
    return [frame for frame in frames if "type" in frame]


def kinds(events: list[dict[str, Any]]) -> list[Any]:
    return [each["code"] or each["message"] for each in events]


async def listed(node: Node) -> list[str]:
    observer = await enter(node, "observer")
    users = await ask(observer, do="users", group="g")
    return [row["user_id"] for row in users["ok"]["list"]]


async def test_an_invisible_connection_hears_and_is_not_seen(node: Node) -> None:
    ada, eve = await enter(node, "ada"), await enter(node, "eve", invisible=True)
    await ask(ada, do="join", group="g")
    joined = await ask(eve, do="join", group="g", invisible=True)
    assert joined["ok"]["position"]["seq"] == 0
    assert (await ask(ada, do="post", to="g", message="hi"))["ok"]["recipients"] == 1
    assert kinds(await new_events(ada)) == ["hi"]
    assert kinds(await new_events(eve)) == ["hi"]
    assert await listed(node) == ["ada"]
    groups = (await ask(ada, do="groups"))["ok"]["list"]
    assert groups == [{"group": "g", "number_of_users": 1, "number_of_connections": 1}]
    await ask(eve, do="leave")
    await ask(ada, do="post", to="g", message="later")
    assert await new_events(eve) == []
    assert kinds(await new_events(ada)) == ["later"]


async def test_it_needs_the_right(node: Node) -> None:
    ada = await enter(node, "ada", server=True)
    refused = (await ask(ada, do="join", group="g", invisible=True))["error"]
    assert (refused["code"], '"invisible"' in refused["message"]) == ("FORBIDDEN", True)
    assert ada.session.group is None
    no_group = await enter(node, "bob", invisible=True, groups=["h"])
    assert (await ask(no_group, do="join", group="g", invisible=True))["error"]["code"] == "FORBIDDEN"


async def test_who_becomes_invisible_leaves_and_who_becomes_visible_joins(node: Node) -> None:
    ada, eve = await enter(node, "ada"), await enter(node, "eve", invisible=True)
    await ask(ada, do="join", group="g")
    await ask(eve, do="join", group="g")
    await ask(eve, do="join", group="g", invisible=True)
    assert kinds(await new_events(ada)) == ["USER_JOINED", "USER_LEFT"]
    assert await listed(node) == ["ada"]
    await ask(ada, do="post", to="g", message=1)
    await ask(eve, do="join", group="g")
    await ask(ada, do="post", to="g", message=2)
    assert await listed(node) == ["ada", "eve"]
    assert kinds(await new_events(ada)) == [1, "USER_JOINED", 2]
    assert kinds([each for each in await new_events(eve) if each["type"] == "message"]) == [1, 2]
    assert eve.session.listens is None


async def test_invisible_in_another_group(node: Node) -> None:
    ada, eve = await enter(node, "ada"), await enter(node, "eve", invisible=True)
    await ask(ada, do="join", group="h")
    for group in ("g", "h", "h"):
        await ask(eve, do="join", group=group, invisible=True)
    await ask(ada, do="post", to="h", message=1)
    assert kinds(await new_events(eve)) == [1]
    await ask(eve, do="join", group="g")
    await ask(ada, do="post", to="h", message=2)
    assert kinds(await new_events(eve)) == []
    assert await listed(node) == ["eve"]


async def test_it_may_post_and_is_not_its_own_recipient(node: Node) -> None:
    ada, eve = await enter(node, "ada"), await enter(node, "eve", invisible=True)
    await ask(ada, do="join", group="g")
    await ask(eve, do="join", group="g", invisible=True)
    assert (await ask(eve, do="post", to="g", message="a notice"))["ok"]["recipients"] == 1
    assert kinds(await new_events(ada)) == kinds(await new_events(eve)) == ["a notice"]
    assert (await ask(eve, do="post", to="g", message="quiet", echo=False))["ok"]["recipients"] == 1
    assert [each["type"] for each in await new_events(eve)] == ["posted"]


async def test_it_is_resumed(node: Node) -> None:
    ada, eve = await enter(node, "ada"), await enter(node, "eve", invisible=True)
    await ask(ada, do="join", group="g")
    position = (await ask(eve, do="join", group="g", invisible=True))["ok"]["position"]
    eve.session.lost()
    await ask(ada, do="post", to="g", message=1)
    again = await enter(node, "eve", invisible=True)
    resumed = await ask(again, do="join", group="g", invisible=True, since=position)
    assert resumed["ok"]["replayed"] == 1
    assert kinds(await new_events(again)) == [1]


async def test_a_token_without_the_right_ends_it(node: Node) -> None:
    eve = await enter(node, "eve", invisible=True)
    await ask(eve, do="join", group="g", invisible=True)
    await ask(eve, do="connect", token=make_token("eve", SECRET, now=1000.0))
    assert (eve.session.group, eve.session.listens) == (None, None)


async def test_nothing_is_left_of_it(node: Node) -> None:
    ends = [await enter(node, "eve", invisible=True) for _ in range(3)]
    for number, end in enumerate(ends):
        await ask(end, do="join", group=f"g{number % 2}", invisible=True)
    for end in ends:
        end.session.lost()
    await settle(node)
    backend = node.backend
    assert isinstance(backend, MemoryBackend)
    assert (backend._listened, node.fanout.groups) == ({}, {})


async def test_if_it_fails_the_connection_is_where_it_was() -> None:
    node = make_node(Failing(), secret=SECRET)
    ada, eve = await enter(node, "ada"), await enter(node, "eve", invisible=True)
    for end in (ada, eve):
        await ask(end, do="join", group="g")
    assert (await ask(eve, do="join", group="h", invisible=True))["error"]["code"] == "UNAVAILABLE"
    assert (await ask(ada, do="post", to="g", message=1))["ok"]["recipients"] == 2
    assert kinds(await new_events(eve))[-1] == 1
    assert not eve.aborted


async def test_if_it_cannot_return_the_connection_is_cut() -> None:
    backend = Failing()
    node = make_node(backend, secret=SECRET)
    eve = await enter(node, "eve", invisible=True)
    await ask(eve, do="join", group="g")
    backend.joins_too = True
    assert (await ask(eve, do="join", group="h", invisible=True))["error"]["code"] == "UNAVAILABLE"
    assert eve.aborted


async def test_without_notices(node: Node) -> None:
    ada, bob = await enter(node, "ada"), await enter(node, "bob")
    await ask(ada, do="join", group="g", notices=False)
    await ask(bob, do="join", group="g")
    await ask(bob, do="post", to="g", message=1)
    assert kinds(await new_events(ada)) == [1]
    await ask(ada, do="join", group="g")  # again, with notices: that changes nothing for others
    await ask(bob, do="leave")
    assert kinds(await new_events(ada)) == ["USER_LEFT"]
    assert kinds(await new_events(bob)) == [1]
