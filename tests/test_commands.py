"""What each command does: joins, posts, signals, listings, and what is refused."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from hubbub.auth.authenticator import make_token
from hubbub.backends.memory import MemoryBackend
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups.history import Replay
from hubbub.messages import Position, Signal, Success, UserRow
from support.fake_link import SECRET, FakeLink, Pipelined, enter, make_node, new_frames, settle


async def ask(end: FakeLink, **command: Any) -> dict[str, Any]:
    """Send a command and return its reply; events are left out."""
    end.say(id=99, **command)
    (reply,) = [frame for frame in await new_frames(end) if frame.get("id") == 99]
    return reply


async def member(node: Any, guest: str, group: str) -> FakeLink:
    end = enter(node, guest)
    end.say(do="join", group=group)
    await new_frames(end)
    return end


async def test_rights_decide_what_is_joined_and_seen() -> None:
    node = make_node(secret=SECRET)
    everyone, some = FakeLink("c1", node), FakeLink("c2", node)
    everyone.say(do="connect", token=make_token("ada", SECRET, now=1000.0))
    everyone.say(do="join", group="private")
    some.say(do="connect", token=make_token("bob", SECRET, groups=["team-*"], now=1000.0))
    some.say(id=1, do="join", group="private")
    some.say(id=2, do="groups")
    some.say(id=3, do="users", group="private")
    joined, groups, users = await new_frames(some)
    assert joined["error"]["code"] == users["error"]["code"] == "FORBIDDEN"
    assert groups["ok"]["list"] == []


class Waiting(MemoryBackend):
    """A backend whose posts take the general way: see `Commands.post_now`."""

    immediate = False  # what the other backends are like


@pytest.fixture(params=[MemoryBackend, Waiting, Pipelined])
def backend(request: pytest.FixtureRequest) -> MemoryBackend:
    """A backend that answers at once, and one that may wait: posts take another way through the code."""
    made: MemoryBackend = request.param()
    return made


async def settled(end: FakeLink, **command: Any) -> dict[str, Any]:
    """Send a command to a node whose commands run in tasks, and return its reply."""
    end.say(id=99, **command)
    while end.session._busy:
        await settle(end.node)
    await settle(end.node)
    return [frame for frame in end.heard() if frame.get("id") == 99][-1]


@pytest.mark.parametrize("to", ["g", {"group": "g"}])
async def test_a_post_reaches_every_member(backend: MemoryBackend, to: object) -> None:
    node = make_node(backend)
    ada, bob = enter(node, "ada"), enter(node, "bob")
    await settle(node)
    for end in (ada, bob):
        await settled(end, do="join", group="g")
    assert (await settled(ada, do="post", to=to, message={"n": 1}))["ok"]["recipients"] == 2
    assert (bob.heard()[-1]["type"], bob.heard()[-1]["message"]) == ("message", {"n": 1})


async def test_a_post_with_a_key_is_done_once(backend: MemoryBackend) -> None:
    node = make_node(backend)
    ada = enter(node, "ada")
    await settle(node)
    await settled(ada, do="join", group="g")
    replies = [await settled(ada, do="post", to="g", message=1, key="k") for _ in range(2)]
    assert [reply["ok"]["recipients"] for reply in replies] == [1, 1]
    assert sum(frame.get("type") == "message" for frame in ada.heard()) == 1


async def test_a_post_that_would_reach_too_few_is_refused(backend: MemoryBackend) -> None:
    node = make_node(backend)
    ada = enter(node, "ada")
    await settle(node)
    await settled(ada, do="join", group="g")
    reply = await settled(ada, do="post", to="g", message=1, min_recipients=2)
    assert reply["error"]["code"] == "INVALID_REQUEST"


async def test_a_post_to_a_group_that_was_not_joined_is_refused() -> None:
    node = make_node()
    await member(node, "bob", "g")
    ada = enter(node, "ada")
    assert "join it first" in (await ask(ada, do="post", to={"group": "g"}, message=1))["error"]["message"]
    assert "join it first" in (await ask(ada, do="post", to="g", message=1))["error"]["message"]


@pytest.mark.parametrize("to", ["bob", {"user_id": "bob"}])
async def test_a_private_message_reaches_the_user(to: object) -> None:
    node = make_node()
    ada, bob = enter(node, "ada"), enter(node, "bob")
    assert (await ask(ada, do="post", to=to, message=1))["ok"]["recipients"] == 1
    assert (bob.heard()[-1]["type"], bob.heard()[-1]["sender"]) == ("private", "ada")


async def test_a_uuid_is_a_user_who_need_not_be_connected() -> None:
    ada = enter(make_node(), "ada")
    assert (await ask(ada, do="post", to=str(uuid4()), message=1))["ok"]["recipients"] == 0
    for name in ("nobody", "x" * 36):
        assert "No user" in (await ask(ada, do="post", to=name, message=1))["error"]["message"]


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("", "it is empty"),
        ({}, "exactly one"),
        ({"group": "g", "user_id": "u"}, "exactly one"),
        ({"group": ""}, '"group" must be 1 to'),
        ({"user_id": ""}, '"user_id" must be 1 to'),
        ("x" * 1000, '"to" must be 1 to'),
    ],
)
async def test_recipients_that_are_refused(to: object, text: str) -> None:
    reply = await ask(enter(make_node()), do="post", to=to, message=1)
    assert reply["error"]["code"] == "INVALID_PARAMETER"
    assert text in reply["error"]["message"]


async def test_without_the_right_to_private_messages_nothing_tells_whether_a_user_is_connected() -> None:
    node = make_node(secret=SECRET)
    ada, bob = FakeLink("a", node), FakeLink("b", node)
    ada.say(do="connect", token=make_token("ada", SECRET, private=False, now=1000.0))
    bob.say(do="connect", token=make_token("bob", SECRET, now=1000.0))
    await new_frames(ada)
    errors = [(await ask(ada, do="post", to=to, message=1))["error"] for to in ("bob", "nobody", {"user_id": "bob"})]
    with pytest.raises(CommandError) as caught:  # only the legacy client sends signals
        await node.commands.execute(ada.session, Signal(connection_id="b", message=msgspec.Raw(b"1")))
    assert [error["code"] for error in errors] == [caught.value.code] * 3 == ["FORBIDDEN"] * 3
    assert {error["message"] for error in errors} == {caught.value.message}


async def test_a_signal_reaches_one_connection() -> None:
    node = make_node()
    ada, bob = enter(node, "ada"), enter(node, "bob")
    for connection_id, recipients in (("c1", 1), ("nobody", 0)):
        reply = await node.commands.execute(ada.session, Signal(connection_id=connection_id, message=msgspec.Raw(b"1")))
        assert isinstance(reply, Success)
        assert reply.recipients == recipients
    signals = [frame for frame in await new_frames(bob) if frame.get("type") == "signal"]
    assert [(frame["sender"], frame["sender_cid"], frame["message"]) for frame in signals] == [("ada", "c0", 1)]


async def test_joining_another_group_leaves_the_first() -> None:
    node = make_node()
    ada = await member(node, "ada", "a")
    await ask(ada, do="join", group="b")
    assert (ada.session.group, list(node.fanout.groups)) == ("b", ["b"])
    await ask(ada, do="join", group="")
    assert (ada.session.group, await node.backend.count()) == (None, (0, 1))


async def test_a_join_replays_the_history_it_asks_for() -> None:
    node = make_node()
    ada = await member(node, "ada", "g")
    for number in range(3):
        await ask(ada, do="post", to="g", message=number)
    bob = enter(node, "bob")
    await new_frames(bob)
    bob.say(id=1, do="join", group="g", history=2)
    reply, *events = await new_frames(bob)
    assert reply["ok"]["replayed"] == 2
    assert [event["message"] for event in events if event["type"] == "message"] == [1, 2]
    assert (await ask(bob, do="join", group="g", history=-1))["error"]["code"] == "INVALID_PARAMETER"


async def test_a_join_or_leave_that_fails_changes_nothing() -> None:
    class Failing(MemoryBackend):
        away = False

        async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
            if self.away:
                raise CommandError(ErrorCode.UNAVAILABLE, "The store is away.")
            return await super().join(user, group, since, history)

        async def leave(self, user: UserRow) -> None:
            raise CommandError(ErrorCode.UNAVAILABLE, "The store is away.")

    backend = Failing()
    node = make_node(backend)
    ada = await member(node, "ada", "a")
    backend.away = True
    for command in ({"do": "join", "group": "b"}, {"do": "leave"}):
        assert (await ask(ada, **command))["error"]["code"] == "UNAVAILABLE"
        assert ada.session.group == "a"
    assert (await ask(ada, do="post", to="a", message=1))["ok"]["recipients"] == 1


async def test_listings() -> None:
    node = make_node()
    ada = await member(node, "ada", "g")
    assert [row["group"] for row in (await ask(ada, do="groups"))["ok"]["list"]] == ["g"]
    assert [row["user_id"] for row in (await ask(ada, do="users"))["ok"]["list"]] == ["ada"]


async def test_outcomes_are_counted() -> None:
    node = make_node()
    ada = await member(node, "ada", "g")
    await ask(ada, do="post", to="", message=1)
    await ask(ada, do="post", to="g", message=1)
    assert node.counters.commands["post", "INVALID_PARAMETER"] == 1
    assert node.counters.commands["join", "ok"] == 1
    assert (node.counters.posts, node.counters.delivered) == (1, 1)
