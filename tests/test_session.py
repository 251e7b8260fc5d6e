"""A session's commands: their order, their rate, their bounds, and what a lost connection leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.backends.memory import MemoryBackend
from hubbub.command_queue import MAX_QUEUED
from hubbub.errors import Close, CommandError, ErrorCode, StoreError
from hubbub.messages import UserRow
from hubbub.rate_limit import WASTED_PER_COMMAND
from support.fake_link import FakeLink, SlowJoins, SlowPosts, enter, make_node, new_frames, settle, turn


async def test_nothing_but_connect_before_it_is_known_who_asks() -> None:
    end = FakeLink("c", make_node())
    for command in ("join", "groups"):
        end.say(id=1, do=command, group="g")
    assert [frame["error"]["code"] for frame in await new_frames(end)] == ["UNAUTHORIZED"] * 2


async def test_commands_over_the_rate_are_refused_and_come_in_again_later() -> None:
    end = enter(make_node(rate_limit=10, rate_burst=5))
    await new_frames(end)
    for number in range(6):
        end.say(id=number, do="leave")
    codes = [frame.get("error", {}).get("code") for frame in await new_frames(end)]
    assert codes == [None] * 4 + ["RATE_LIMITED"] * 2  # "connect" was the first of five
    end.say(after=0.25, id=7, do="leave")
    end.say(after=0.25, id=8, do="leave")
    end.say(after=0.25, id=9, do="leave")
    assert ["ok" in frame for frame in await new_frames(end)] == [True, True, False]


async def test_malformed_frames_count_as_well() -> None:
    end = enter(make_node(rate_limit=1, rate_burst=3))
    await new_frames(end)
    for _ in range(5):
        end.session.receive(b'{"id":1,', end.born)
    codes = [frame["error"]["code"] for frame in await new_frames(end)]
    assert codes == ["INVALID_PARAMETER"] * 2 + ["RATE_LIMITED"] * 3


async def test_who_goes_on_regardless_is_closed_then_cut() -> None:
    end = enter(make_node(rate_limit=10, rate_burst=5))
    for number in range(4 + WASTED_PER_COMMAND * 5):
        end.say(id=number, do="leave")
    assert end.closed == []
    end.say(id=0, do="leave")
    assert end.closed == [Close.FLOODING]
    for _ in range(WASTED_PER_COMMAND * 5):
        end.session.waste(end.born)
    assert not end.aborted
    end.session.waste(end.born)
    assert end.aborted


async def test_without_a_limit_nothing_is_refused() -> None:
    end = enter(make_node(rate_limit=0, rate_burst=1))
    for number in range(300):
        end.say(id=number, do="leave")
    assert all("ok" in frame for frame in await new_frames(end))


async def test_a_command_without_id_gets_no_reply_not_even_an_error() -> None:
    end = enter(make_node())
    await new_frames(end)
    end.say(do="leave")
    end.say(do="post", to="nobody", message=1)
    assert await new_frames(end) == []


async def test_commands_after_the_close_are_ignored() -> None:
    node = make_node()
    end = enter(node)
    await new_frames(end)
    end.session.close(Close.DISCONNECTED, node.now())
    end.say(id=1, do="join", group="g")
    assert await new_frames(end) == []
    assert await node.backend.count() == (0, 1)
    end.session.lost()
    assert await node.backend.count() == (0, 0)


async def test_an_internal_error_is_logged_and_said(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryBackend):
        async def leave(self, user: UserRow) -> None:
            raise ZeroDivisionError("the disk is on fire")

    end = enter(make_node(Broken()))
    await new_frames(end)
    end.say(id=1, do="leave")
    end.say(id=2, do="groups")
    failed, fine = await new_frames(end)
    assert failed["error"]["code"] == "INTERNAL"
    assert "fire" not in failed["error"]["message"]
    assert "fire" in caplog.text
    assert "ok" in fine


async def test_with_a_backend_that_waits_commands_keep_their_order() -> None:
    backend = SlowJoins()
    node = make_node(backend)
    end = FakeLink("c", node)
    end.say(id=0, do="connect", guest="ada")
    end.say(id=1, do="join", group="g")
    end.say(id=2, do="post", to="g", message="hi")
    end.say(id=3, do="users")
    await asyncio.sleep(0)
    assert [frame["id"] for frame in end.heard()] == [0] or end.heard() == []
    backend.gate.set()
    await settle(node)
    frames = end.heard()
    assert [frame.get("id", frame.get("type")) for frame in frames] == [0, 1, "message", 2, 3]
    assert frames[4]["ok"]["list"] == [{"user_id": "ada", "connection_id": "c"}]


async def test_with_a_backend_that_waits_the_queue_is_bounded() -> None:
    backend = SlowJoins()
    node = make_node(backend, rate_limit=0)
    end = FakeLink("c", node)
    end.say(id=0, do="connect", guest="ada")
    await settle(node)
    end.say(id=1, do="join", group="g")
    for number in range(MAX_QUEUED + 1):
        end.say(id=number + 2, do="leave")
    await turn(node)
    assert [frame["error"]["code"] for frame in end.heard()[1:]] == ["RATE_LIMITED"]
    backend.gate.set()
    await settle(node)
    assert len(end.heard()) == 1 + 1 + MAX_QUEUED + 1


async def test_a_connection_lost_while_it_joins_leaves_no_ghost(caplog: pytest.LogCaptureFixture) -> None:
    backend = SlowJoins()
    node = make_node(backend)
    end = FakeLink("c", node)
    end.say(id=0, do="connect", guest="ada")
    await settle(node)
    end.say(id=1, do="join", group="g")
    end.say(id=2, do="post", to="g", message="never")
    await asyncio.sleep(0)
    end.session.lost()
    backend.gate.set()
    await settle(node)
    assert await backend.count() == (0, 0)
    assert (node.sessions, node.fanout.connections, node.fanout.groups) == ({}, {}, {})
    assert caplog.text == ""


async def poster(store: SlowPosts) -> FakeLink:
    """Return a member of "g" on a node whose posts wait for `store`."""
    end = enter(make_node(store, rate_limit=0))
    await settle(end.node)
    end.say(id=1, do="join", group="g")
    await settle(end.node)
    end.written = b""
    return end


async def test_a_post_that_waits_for_a_store_needs_no_task_and_is_counted() -> None:
    store = SlowPosts()
    end = await poster(store)
    left = end.session.budget.left
    end.say(id=2, do="post", to="g", message=1)
    await settle(end.node)
    assert (end.heard(), len(store.posts), end.node.tasks) == ([], 1, set())
    assert end.session.budget.bytes > 0  # counts as long as it runs
    store.answer()
    await settle(end.node)
    assert [frame.get("id", frame.get("message")) for frame in end.heard()] == [1, 2]
    assert end.heard()[1]["ok"]["recipients"] == 1
    assert (end.session.budget.bytes, end.node.counters.posts, end.node.counters.delivered) == (0, 1, 1)
    assert end.session.budget.left < left


async def test_commands_behind_a_post_run_when_it_is_answered() -> None:
    store = SlowPosts()
    end = await poster(store)
    for number in range(2, 5):
        end.say(id=number, do="post", to="g", message=number)
    end.say(id=5, do="leave")
    end.say(id=6, do="post", to={"group": "g"}, message=6)
    for _ in range(3):
        await settle(end.node)
        assert len(store.posts) == 1
        store.answer()
    await settle(end.node)
    assert [frame["id"] for frame in end.heard() if "id" in frame] == [2, 3, 4, 5, 6]
    assert "join it first" in end.heard()[-1]["error"]["message"]
    assert end.node.counters.posts == 3


async def test_posts_that_the_backend_refuses_are_answered_and_the_next_command_runs() -> None:
    store = SlowPosts()
    end = await poster(store)
    end.say(id=2, do="post", to="g", message=1)
    for number in range(3, 3 + MAX_QUEUED):
        end.say(id=number, do="post", to="g", message=1)
    store.refusal = StoreError("gone")
    store.answer(CommandError(ErrorCode.RATE_LIMITED, "Too much."))
    await settle(end.node)  # all that were queued are refused at once, one after the other
    codes = [frame["error"]["code"] for frame in end.heard()]
    assert codes == ["RATE_LIMITED"] + ["UNAVAILABLE"] * MAX_QUEUED
    assert end.node.counters.commands["post", "UNAVAILABLE"] == MAX_QUEUED
    assert end.session.budget.bytes == 0
    store.refusal = None
    end.say(id=999, do="post", to="g", message=2)
    store.answer()
    await settle(end.node)
    assert end.heard()[-1]["id"] == 999


async def test_a_session_lost_while_its_post_is_on_the_way_ends_when_it_is_answered() -> None:
    store = SlowPosts()
    end = await poster(store)
    end.say(id=2, do="post", to="g", message=1)
    end.say(id=3, do="post", to="g", message=2)
    end.session.lost()
    assert end.session.connection_id in end.node.sessions
    store.answer()
    await settle(end.node)
    assert (end.heard(), store.posts, end.node.sessions) == ([], [], {})
    assert await store.count() == (0, 0)


async def test_no_reply_follows_the_close_frame() -> None:
    store = SlowPosts()
    end = await poster(store)
    end.say(id=2, do="post", to="g", message=1)
    end.session.close(Close.DISCONNECTED, end.node.now())
    store.answer()
    await settle(end.node)
    assert end.heard() == []
