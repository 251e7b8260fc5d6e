"""Calls of hooks: time limits, turns, failures, what is logged and counted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from hubbub.hub import calls
from hubbub.hub.registry import Registry
from hubbub.hub.types import Deny, Member, Post, User
from support.fake_link import FakeLink, make_node, settle
from support.waiting import PATIENCE


async def member(registry: Registry, **settings: Any) -> FakeLink:
    end = FakeLink("c", make_node(registry=registry, **settings))
    end.say(do="connect", guest="ada")
    end.say(do="join", group="g")
    await settle(end.node)
    return end


async def post(end: FakeLink, message: object = 1, **fields: Any) -> dict[str, Any]:
    end.say(id=9, do="post", to="g", message=message, **fields)
    await settle(end.node)
    reply: dict[str, Any] = [frame for frame in end.heard() if frame.get("id") == 9][-1]
    return reply


async def test_a_hook_that_takes_too_long(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()

    @registry.on_post
    async def slow(post: Post[Any]) -> Any:
        await asyncio.Event().wait()

    end = await member(registry, hook_timeout=0.01)
    assert (await post(end))["error"]["code"] == "UNAVAILABLE"
    assert "hook_timeout" in caplog.text
    assert end.node.counters.hooks == {("on_post", "", "timeout"): 1}
    assert end.node.counters.hook_seconds["on_post", ""] >= 0.01
    assert end.node.hooks is not None
    assert end.node.hooks.running == 0


async def test_a_timeout_of_the_hook_itself_is_a_failure() -> None:
    registry = Registry()

    @registry.on_post
    async def failing(post: Post[Any]) -> Any:
        await asyncio.sleep(0)
        raise TimeoutError("the database does not answer")

    assert (await post(await member(registry)))["error"]["code"] == "INTERNAL"


async def test_a_failure_is_logged_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()

    @registry.on_post
    async def broken(post: Post[Any]) -> Any:
        raise ValueError("a bug of the app")

    end = await member(registry)
    refused = (await post(end))["error"]
    assert refused["code"] == "INTERNAL"
    assert "a bug" not in refused["message"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert "broken" in record.getMessage()
    assert "a bug of the app" in caplog.text
    assert end.node.counters.hooks == {("on_post", "", "failed"): 1}


@pytest.mark.parametrize("answer", [False, 0, "no"])
async def test_a_join_hook_that_returns_something_has_failed(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()

    @registry.on_join
    async def may_join(member: Member):  # type: ignore[no-untyped-def]
        return answer

    end = await member(registry)
    assert end.session.group is None
    assert "raising Deny" in caplog.text


async def test_a_wrong_user_is_logged_and_the_client_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()

    @registry.on_connect
    async def who(conn: HTTPConnection) -> Any:
        return "ada"

    node = make_node(registry=registry)
    end = FakeLink("c", node)
    end.say(id=1, do="connect")
    await settle(node)
    assert end.heard()[-1]["error"]["code"] == "INTERNAL"
    assert "hubbub.User" in caplog.text


async def test_a_message_of_the_wrong_type_never_reaches_the_hook() -> None:
    registry, seen = Registry(), list[int]()

    @registry.on_post
    async def number(post: Post[int]) -> int | None:
        seen.append(post.message)
        return post.message

    end = await member(registry)
    refused = (await post(end, "text"))["error"]
    assert (refused["code"], '"message"' in refused["message"], seen) == ("INVALID_PARAMETER", True, [])


async def test_at_most_so_many_hooks_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, gate = Registry(), asyncio.Event()
    running, peak = 0, 0

    @registry.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await gate.wait()
        running -= 1
        return User(conn.cookies["user"])

    node = make_node(registry=registry, hook_concurrency=3)
    ends = [FakeLink(f"c{number}", node, user=f"u{number}") for number in range(20)]
    for end in ends:
        end.say(id=1, do="connect")
    assert node.hooks is not None
    while node.hooks.running + node.hooks.waiting < 20:
        await asyncio.sleep(0)
    assert (node.hooks.running, node.hooks.waiting) == (3, 17)
    gate.set()
    await settle(node)
    assert peak == 3
    assert all("ok" in end.heard()[-1] for end in ends)
    assert (node.hooks.running, node.hooks.waiting) == (0, 0)


async def test_a_hook_that_gets_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LONGEST_WAIT", 0.01)
    registry, gate = Registry(), asyncio.Event()

    @registry.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        await gate.wait()
        return User("ada")

    node = make_node(registry=registry, hook_concurrency=1)
    first, second = FakeLink("a", node), FakeLink("b", node)
    first.say(id=1, do="connect")
    second.say(id=1, do="connect")
    while not second.heard():
        await asyncio.sleep(0.001)
    assert second.heard()[-1]["error"]["code"] == "UNAVAILABLE"
    gate.set()
    second.say(id=2, do="connect")  # the app was not asked, so it can be asked again
    await settle(node)
    assert ("ok" in first.heard()[-1], "ok" in second.heard()[-1]) == (True, True)
    assert node.counters.hooks == {("on_connect", "", "busy"): 1, ("on_connect", "", "ok"): 2}


async def test_a_hook_that_is_only_told_cannot_refuse(caplog: pytest.LogCaptureFixture) -> None:
    registry, told = Registry(), list[str]()

    @registry.on_leave
    async def left(member: Member, group: str, why: str) -> None:
        raise Deny("Stay.")

    @registry.on_disconnect
    async def gone(member: Member) -> None:
        told.append(member.user_id)
        raise ValueError("a bug")

    end = await member(registry)
    end.session.lost()
    await settle(end.node)
    assert told == ["ada"]
    assert "nothing to refuse" in caplog.text
    assert end.node.sessions == {}


async def test_a_stop_does_not_wait_for_hooks_that_hang() -> None:
    registry = Registry()

    @registry.on_disconnect
    async def gone(member: Member) -> None:
        await asyncio.Event().wait()

    end = await member(registry, shutdown_timeout=0.01, hook_timeout=3600)
    async with asyncio.timeout(PATIENCE):
        await end.node.close()
    assert not end.node.tasks


async def test_a_hook_that_waits_for_something_cancelled_has_failed() -> None:
    registry = Registry()

    @registry.on_post
    async def waiting(post: Post[Any]) -> Any:
        other = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(other.cancel)
        await other

    end = await member(registry)
    assert (await post(end))["error"]["code"] == "INTERNAL"
    assert (await post(end))["error"]["code"] == "INTERNAL"  # the connection goes on


async def test_a_hook_can_use_timeouts_tasks_and_context_managers() -> None:
    registry = Registry()

    @registry.on_post
    async def using(post: Post[Any]) -> Any:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, post.message + 1))
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            return await task

    end = await member(registry)
    assert (await post(end))["ok"]["recipients"] == 1
    assert [frame["message"] for frame in end.heard() if frame.get("type") == "message"] == [2]


async def test_a_user_with_many_connections_does_not_keep_others_waiting() -> None:
    """An attack: every place is taken by slow hooks of one user, who has many more waiting."""
    registry, gate, asked = Registry(), asyncio.Semaphore(0), list[str]()

    @registry.on_post
    async def slow(post: Post[Any]) -> Any:
        asked.append(post.member.user_id)
        await gate.acquire()
        return post.message

    node = make_node(registry=registry, hook_concurrency=2)
    ends = [FakeLink(f"c{number}", node) for number in range(21)]
    for number, end in enumerate(ends):
        end.say(do="connect", guest="greedy" if number < 20 else "modest")
        end.say(do="join", group="g")
        end.say(do="post", to="g", message=number)
    assert node.hooks is not None
    while node.hooks.waiting < 19:
        await asyncio.sleep(0)
    for _ in range(2):
        gate.release()
    while len(asked) < 4:
        await asyncio.sleep(0)
    assert "modest" in asked
    for _ in ends:
        gate.release()
    await settle(node)
    assert len(asked) == 21
