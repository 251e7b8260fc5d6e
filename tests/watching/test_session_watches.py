"""The commands `watch` and `unwatch` of connections: replies, events, limits, rights, and what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hubbub.auth.authenticator import make_token
from hubbub.backends.memory import MemoryBackend
from hubbub.groups.view_query import ViewPage, ViewQuery
from hubbub.node import Node
from support.fake_link import SECRET, FakeLink, enter, make_node
from support.waiting import PATIENCE

LOBBY: dict[str, Any] = {
    "do": "watch",
    "what": "groups",
    "searchFor": "number_of_users",
    "value": 1,
    "condition": ">=",
    "every": 100,
}


async def reply(end: FakeLink, **command: Any) -> dict[str, Any]:
    """Send a command and return its reply."""
    end.say(id=77, **command)
    return (await frame(end, lambda each: each.get("id") == 77))[0]


async def frame(end: FakeLink, wanted: Any) -> list[dict[str, Any]]:
    """Wait for frames that are wanted, and forget all so far."""
    async with asyncio.timeout(PATIENCE):
        while not (found := [each for each in end.heard() if wanted(each)]):
            await asyncio.sleep(0.005)
    end.written = b""
    return found


async def event(end: FakeLink) -> dict[str, Any]:
    """Wait for an event about a watch."""
    return (await frame(end, lambda each: each.get("type") in {"groups", "users", "unwatched"}))[0]


@pytest.fixture
async def node() -> Any:
    made = make_node()
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def secured() -> Any:
    made = make_node(secret=SECRET, view_interval_filtered=0.2)
    await made.start()
    yield made
    await made.close()


def login(node: Node, user: str, **claims: Any) -> FakeLink:
    end = FakeLink(f"c{len(node.sessions)}", node)
    end.say(do="connect", token=make_token(user, SECRET, now=1000.0, **claims))
    return end


def row(group: str, users: int = 1, connections: int = 1) -> dict[str, Any]:
    return {"group": group, "number_of_users": users, "number_of_connections": connections}


async def test_a_reply_and_events_until_unwatch(node: Node) -> None:
    ada, bob = enter(node, "ada"), enter(node, "bob")
    page = await reply(ada, **LOBBY)
    assert page["ok"] == {"watch": 1, "list": [], "count": 0, "startKey": "end", "endOfList": True}
    bob.say(do="join", group="g")
    assert await event(ada) == {"type": "groups", "watch": 1, "set": [row("g")], "gone": [], "count": 1}
    bob.say(do="leave")
    assert await event(ada) == {"type": "groups", "watch": 1, "set": [], "gone": ["g"], "count": 0}
    assert (await reply(ada, do="unwatch", watch=1))["ok"] == {"type": "success", "message": "The watch has ended."}
    assert (len(node.views), node.views.watches, ada.session.budget.watches) == (0, 0, 0)


async def test_users_and_named_groups(node: Node) -> None:
    ada, bob = enter(node, "ada"), enter(node, "bob")
    named = await reply(ada, do="watch", what="groups", groups=["h", "g"], every=100)
    assert (named["ok"]["list"], named["ok"]["count"]) == ([row("g", 0, 0), row("h", 0, 0)], 2)
    assert (await reply(ada, do="watch", what="users", group="g", every=100))["ok"]["watch"] == 2
    bob.say(do="join", group="g")
    async with asyncio.timeout(PATIENCE):
        while len(events := [each for each in ada.heard() if "watch" in each]) < 2:
            await asyncio.sleep(0.005)
    bob_row = {"user_id": "bob", "connection_id": bob.session.connection_id}
    assert sorted(events, key=lambda each: each["watch"]) == [
        {"type": "groups", "watch": 1, "set": [row("g")], "gone": [], "count": 2},
        {"type": "users", "watch": 2, "set": [bob_row], "gone": [], "count": 1},
    ]


async def test_equal_watches_share_a_view_and_a_frame(node: Node) -> None:
    ends = [enter(node, f"u{number}") for number in range(4)]
    for end in ends:
        await reply(end, **LOBBY)
    assert (len(node.views), node.views.watches) == (1, 4)
    enter(node, "bob").say(do="join", group="g")
    assert len({str(await event(end)) for end in ends}) == 1
    assert node.counters.view_evaluations == 2


async def test_a_number_is_used_again(node: Node) -> None:
    ada = enter(node)
    numbers = [(await reply(ada, **LOBBY))["ok"]["watch"] for _ in range(3)]
    await reply(ada, do="unwatch", watch=2)
    assert numbers == [1, 2, 3]
    assert (await reply(ada, **LOBBY))["ok"]["watch"] == 2


async def test_an_unknown_watch_is_refused(node: Node) -> None:
    error = (await reply(enter(node), do="unwatch", watch=5))["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert "no watch 5" in error["message"]


async def test_watches_of_a_connection_and_of_a_user_are_limited() -> None:
    node = make_node(max_watches=2, max_watches_per_user=3)
    one, other = enter(node), enter(node)
    for _ in range(2):
        assert "ok" in await reply(one, **LOBBY)
    assert '"max_watches"' in (await reply(one, **LOBBY))["error"]["message"]
    assert "ok" in await reply(other, **LOBBY)
    assert '"max_watches_per_user"' in (await reply(other, **LOBBY))["error"]["message"]
    one.session.lost()
    assert "ok" in await reply(other, **LOBBY)


async def test_every_has_bounds(node: Node, secured: Node) -> None:
    for every in (99, 3_600_001, -1):
        error = (await reply(enter(node), **{**LOBBY, "every": every}))["error"]
        assert error["code"] == "INVALID_PARAMETER"
        assert '"every" must be 100 to 3600000 milliseconds' in error["message"]
    some = login(secured, "ada", groups=["a*"])
    assert "must be 200 to" in (await reply(some, **LOBBY))["error"]["message"]
    assert (await reply(some, **{**LOBBY, "every": 200}))["ok"]["count"] is None


async def test_rights_are_those_of_listings(secured: Node) -> None:
    member, some = login(secured, "bob"), login(secured, "ada", groups=["a*"])
    member.say(do="join", group="a1")
    assert (await reply(some, do="watch", what="users", group="secret"))["error"]["code"] == "FORBIDDEN"
    assert (await reply(some, do="watch", what="groups", groups=["a1", "secret"]))["error"]["code"] == "FORBIDDEN"
    page = await reply(some, **{**LOBBY, "every": 200})
    assert page["ok"]["list"] == [row("a1")]
    member.say(do="join", group="secret")
    assert await event(some) == {"type": "groups", "watch": 1, "set": [], "gone": ["a1"], "count": None}


async def test_readers_with_other_rights_do_not_share_a_view(secured: Node) -> None:
    for user, groups in (("ada", ["a*"]), ("bob", ["a*"]), ("eve", ["b*"])):
        await reply(login(secured, user, groups=groups), **{**LOBBY, "every": 200})
    assert len(secured.views) == 2


async def test_a_hidden_cursor_is_encrypted(secured: Node) -> None:
    member, some = login(secured, "bob"), login(secured, "ada", groups=["a*", "c*"])
    member.say(do="join", group="a1")
    login(secured, "eve").say(do="join", group="c1")
    page = (await reply(some, do="watch", what="groups", limit=1))["ok"]
    assert (page["list"], page["endOfList"]) == ([row("a1")], False)
    assert list(page["startKey"]) == ["cursor"]
    following = (await reply(some, do="watch", what="groups", limit=1, startKey=page["startKey"]))["ok"]
    assert following["list"] == [row("c1")]
    assert (await reply(some, do="watch", what="groups", startKey={"cursor": "x"}))["error"][
        "code"
    ] == "INVALID_PARAMETER"


async def test_new_rights_bring_the_whole_list(secured: Node) -> None:
    for number, group in enumerate(("a1", "b1")):
        login(secured, f"m{number}").say(do="join", group=group)
    ada = login(secured, "ada", groups=["a*"])
    assert (await reply(ada, **{**LOBBY, "every": 200}))["ok"]["list"] == [row("a1")]
    ada.say(do="connect", token=make_token("ada", SECRET, now=1000.0, groups=["b*"]))
    assert await event(ada) == {"type": "groups", "watch": 1, "list": [row("b1")], "count": None}
    ada.say(do="connect", token=make_token("ada", SECRET, now=1000.0))
    assert await event(ada) == {"type": "groups", "watch": 1, "list": [row("b1"), row("a1")][::-1], "count": 2}
    assert len(secured.views) == 1


async def test_new_rights_end_what_they_do_not_allow(secured: Node) -> None:
    ada = login(secured, "ada")
    await reply(ada, do="watch", what="users", group="secret")
    ada.say(do="connect", token=make_token("ada", SECRET, now=1000.0, groups=["a*"]))
    ended = await event(ada)
    assert (ended["type"], ended["watch"], ended["code"]) == ("unwatched", 1, "FORBIDDEN")
    assert '"secret"' in ended["message"]
    assert (len(secured.views), ada.session.budget.watches) == (0, 0)


async def test_a_renewal_with_the_same_rights_changes_nothing(secured: Node) -> None:
    ada = login(secured, "ada", groups=["a*"])
    await reply(ada, **{**LOBBY, "every": 200})
    assert "ok" in await reply(ada, do="connect", token=make_token("ada", SECRET, now=1000.0, groups=["a*"]))
    login(secured, "bob").say(do="join", group="a1")
    assert "set" in await event(ada)


async def test_a_connection_that_is_lost_or_closed_leaves_nothing(node: Node) -> None:
    ada, bob, eve, max_ = (enter(node, name) for name in ("ada", "bob", "eve", "max"))
    for end in (bob, ada, eve):
        await reply(end, **LOBBY)
    ada.session.lost()
    assert node.views.watches == 2
    node.close_connections("bob", None)
    max_.say(do="join", group="g")
    await event(eve)  # a few watchers are served in one turn, so bob would have been
    assert bob.heard() == []
    bob.session.lost()
    eve.session.lost()
    assert (len(node.views), node.views.bytes) == (0, 0)


async def test_not_before_it_is_identified(node: Node) -> None:
    end = FakeLink("x", node)
    assert (await reply(end, **LOBBY))["error"]["code"] == "UNAUTHORIZED"


async def test_bad_fields_are_named(node: Node) -> None:
    ada = enter(node)
    for fields, named in [
        ({"what": "messages"}, "what"),
        ({}, "what"),
        ({"what": "groups", "every": "x"}, "every"),
        ({"what": "groups", "groups": "g"}, "groups"),
    ]:
        error = (await reply(ada, do="watch", **fields))["error"]
        assert error["code"] == "INVALID_PARAMETER"
        assert f'"{named}"' in error["message"]


async def test_many_at_once_do_not_exceed_the_limit_of_a_user() -> None:
    node = make_node(SlowViews(), max_watches_per_user=3)
    ends = [enter(node) for _ in range(6)]
    for end in ends:
        await frame(end, lambda each: each.get("id") == 0)
    for end in ends:
        end.say(id=7, **LOBBY)
    backend = node.backend
    assert isinstance(backend, SlowViews)
    async with asyncio.timeout(PATIENCE):
        while not backend.waiting:
            await asyncio.sleep(0)
    backend.gate.set()
    answers = [(await frame(end, lambda each: each.get("id") == 7))[0] for end in ends]
    assert len([answer for answer in answers if "ok" in answer]) == 3
    ends[0].session.lost()
    assert ends[1].session.budget.watches == 2


class SlowViews(MemoryBackend):
    """A store behind a network: each view waits for the gate."""

    immediate = False

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waiting = 0

    async def view(self, query: ViewQuery, visible: Callable[[str], bool] | None = None) -> ViewPage:
        self.waiting += 1
        await self.gate.wait()
        return await super().view(query, visible)
