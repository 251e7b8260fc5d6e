"""Commands with hooks: what is asked and when, what is checked before and after, what is told afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from starlette.requests import HTTPConnection

from hubbub.auth.authenticator import make_token
from hubbub.backends.memory import MemoryBackend
from hubbub.commands import Commands
from hubbub.dialects.base import Wire
from hubbub.dialects.skapi import Skapi
from hubbub.errors import Close, CommandError
from hubbub.hub.calls import HookCalls
from hubbub.hub.hub import Hub
from hubbub.hub.registry import Registry
from hubbub.hub.types import Deny, Member, Post, User
from hubbub.messages import Message
from hubbub.node import Node
from support.fake_link import SECRET, FakeLink, Pipelined, make_node, settle

LEGACY = Wire(Skapi(), lambda payload: payload + b"\n")


class App(Registry):
    """An app that writes down what it is asked, and whose hooks wait for `gate` if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Any] = []
        self.gate: asyncio.Event | None = None
        self.user: Callable[[str], User | None] = lambda name: User(name, data=name.upper())
        self.answer: Callable[[Any], Any] = lambda message: message

        @self.on_connect
        async def who(conn: HTTPConnection) -> User | None:
            await self.wait("connect", conn.cookies.get("user"))
            name = conn.cookies.get("user")
            if name == "eve":
                raise Deny("Not you.")
            return None if name is None else self.user(name)

        @self.on_join
        async def join(member: Member) -> None:
            await self.wait("join", member.user_id, member.group, member.data)
            if member.group == "secret":
                raise Deny("Not there.")

        @self.on_post
        async def post(post: Post[Any]) -> Any:
            await self.wait("post", post.member.user_id, post.group, post.message, post.key)
            return self.answer(post.message)

        @self.on_private
        async def private(post: Post[Any]) -> Any:
            await self.wait("private", post.member.user_id, post.to, post.message)
            return self.answer(post.message)

        @self.on_leave
        async def left(member: Member, group: str, why: str) -> None:
            await self.wait("left", member.user_id, group, why, member.data)

        @self.on_disconnect
        async def gone(member: Member) -> None:
            await self.wait("gone", member.user_id, member.data)

    async def wait(self, *what: Any) -> None:
        self.log.append(what)
        if self.gate is not None:
            await self.gate.wait()


class Waiting(MemoryBackend):
    """A backend whose commands run in tasks, as on Valkey."""

    immediate = False


@pytest.fixture(params=[MemoryBackend, Waiting, Pipelined])
def backend(request: pytest.FixtureRequest) -> MemoryBackend:
    """A backend that answers at once, and one that may wait."""
    made: MemoryBackend = request.param()
    return made


@pytest.fixture
def app() -> App:
    """The app of a test."""
    return App()


async def enter(node: Node, user: str | None = "ada", group: str | None = "g", wire: Wire | None = None) -> FakeLink:
    end = FakeLink(f"c{len(node.sessions)}", node, user=user, **({} if wire is None else {"wire": wire}))
    if wire is None:
        end.say(id=0, do="connect")
    else:
        end.session.adopt(None)
    if group is not None:
        end.say(**({"id": 1, "do": "join", "group": group} if wire is None else {"action": "joinRoom", "rid": group}))
    await settle(node)
    return end


async def ask(end: FakeLink, **command: Any) -> dict[str, Any]:
    end.say(id=99, **command)
    await settle(end.node)
    reply: dict[str, Any] = [frame for frame in end.heard() if frame.get("id") == 99][-1]
    return reply


def messages(end: FakeLink) -> list[Any]:
    return [frame["message"] for frame in end.heard() if frame.get("type") in {"message", "private"}]


async def test_the_order_of_hooks_is_that_of_the_commands(app: App, backend: MemoryBackend) -> None:
    node = make_node(backend, registry=app)
    end = await enter(node)
    end.say(do="post", to="g", message=1, key="k")
    end.say(do="join", group="h")
    end.say(do="leave")
    end.say(do="join", group="i")
    await settle(node)
    end.session.lost()
    await settle(node)
    assert app.log == [
        ("connect", "ada"),
        ("join", "ada", "g", "ADA"),
        ("post", "ada", "g", 1, "k"),
        ("join", "ada", "h", "ADA"),
        ("left", "ada", "g", "switched", "ADA"),
        ("left", "ada", "h", "left", "ADA"),
        ("join", "ada", "i", "ADA"),
        ("left", "ada", "i", "disconnected", "ADA"),
        ("gone", "ada", "ADA"),
    ]


async def test_others_do_not_wait(app: App) -> None:
    node = make_node(registry=app)
    ada, bob = await enter(node, "ada"), await enter(node, "bob")
    app.gate = asyncio.Event()
    ada.say(id=5, do="post", to="g", message="slow")
    while app.log[-1][0] != "post":
        await asyncio.sleep(0)
    gate, app.gate = app.gate, None
    bob.say(id=6, do="post", to="g", message="fast")
    while not messages(ada):
        await asyncio.sleep(0)
    assert messages(ada) == ["fast"]
    gate.set()
    await settle(node)
    assert messages(bob) == ["fast", "slow"]


async def test_a_refusal_goes_to_who_asked_and_changes_nothing(app: App) -> None:
    node = make_node(registry=app)
    eve = await enter(node, "eve", None)
    assert eve.heard() == [{"id": 0, "error": {"code": "FORBIDDEN", "message": "Not you."}}]
    assert (eve.session.identity, eve.closed) == (None, [])
    ada = await enter(node)
    assert (await ask(ada, do="join", group="secret"))["error"] == {"code": "FORBIDDEN", "message": "Not there."}
    assert ada.session.group == "g"
    assert all(entry[0] != "left" for entry in app.log)


async def test_the_time_to_identify_stands_still_while_the_app_is_asked(app: App) -> None:
    node = make_node(registry=app)
    app.gate = asyncio.Event()
    end = FakeLink("c", node)
    end.say(id=0, do="connect")
    await asyncio.sleep(0)
    end.session.tick(end.born + 1000)
    assert end.closed == []
    app.gate.set()
    await settle(node)
    assert end.heard()[-1]["error"]["code"] == "UNAUTHORIZED"
    end.session.tick(node.now() + 6)
    assert end.closed == [Close.NOT_IDENTIFIED]


async def test_rights_are_checked_again_after_the_hook(app: App, backend: MemoryBackend) -> None:
    node = make_node(backend, registry=app)
    ada, bob = await enter(node), await enter(node, "bob")
    app.gate = asyncio.Event()
    for command in ({"do": "post", "to": "g", "message": 1}, {"do": "join", "group": "h"}):
        app.gate.clear()
        ada.say(id=7, **command)
        await asyncio.sleep(0)
        await node.backend.disconnect_user("ada")
        app.gate.set()
        await settle(node)
    assert (ada.closed, messages(bob)) == ([Close.DISCONNECTED], [])
    assert "h" not in node.fanout.groups


async def test_a_post_right_before_the_close_still_arrives(app: App, backend: MemoryBackend) -> None:
    node = make_node(backend, registry=app)
    ada, bob = await enter(node), await enter(node, "bob")
    for number in range(2):
        ada.say(do="post", to="g", message=number)
    ada.session.ending(node.now())
    await settle(node)
    assert messages(bob) == [0, 1]
    ada.say(do="post", to="g", message="late")
    await settle(node)
    assert messages(bob) == [0, 1]


async def test_a_changed_message_is_checked_against_the_limits(app: App) -> None:
    node = make_node(registry=app, max_message=100)
    ada = await enter(node)
    app.answer = lambda message: "x" * 1000
    assert (await ask(ada, do="post", to="g", message=1))["error"]["code"] == "TOO_LARGE"
    app.answer = lambda message: None
    assert (await ask(ada, do="post", to="g", message=1))["ok"]["recipients"] == 0
    assert (await ask(ada, do="post", to="g", message=1, min_recipients=1))["error"]["code"] == "INVALID_REQUEST"
    app.answer = lambda message: [message, "changed"]
    await ask(ada, do="post", to="g", message=1)
    assert messages(ada) == [[1, "changed"]]


async def test_limits_and_membership_are_checked_before_the_hook(app: App) -> None:
    node = make_node(registry=app, max_message=10)
    ada = await enter(node)
    app.log.clear()
    assert (await ask(ada, do="post", to="g", message="x" * 20))["error"]["code"] == "TOO_LARGE"
    assert (await ask(ada, do="post", to={"group": "h"}, message=1))["error"]["code"] == "INVALID_REQUEST"
    assert (await ask(ada, do="join", group="x" * 300))["error"]["code"] == "INVALID_PARAMETER"
    assert app.log == []


@pytest.mark.parametrize("to", ["g", {"user_id": "ada"}])
async def test_a_key_whose_result_is_stored_does_not_ask_again(app: App, backend: MemoryBackend, to: Any) -> None:
    node = make_node(backend, registry=app)
    ada = await enter(node)
    app.log.clear()
    replies = [await ask(ada, do="post", to=to, message=1, key="k") for _ in range(3)]
    assert [reply["ok"]["recipients"] for reply in replies] == [1, 1, 1]
    assert (len(app.log), messages(ada)) == (1, [1])


async def test_private_messages_ask_and_signals_are_refused(app: App) -> None:
    node = make_node(registry=app)
    ada, bob = await enter(node), await enter(node, "bob")
    await ask(ada, do="post", to="bob", message="psst")
    assert app.log[-1] == ("private", "ada", "bob", "psst")
    assert messages(bob) == ["psst"]
    legacy = await enter(node, "eva", wire=LEGACY)
    legacy.say(action="rtc", uid="cid:c0", content=1)
    await settle(node)
    assert legacy.heard()[-1]["#code"] == "FORBIDDEN"


async def test_a_join_again_at_a_resume_asks_again(app: App) -> None:
    node = make_node(registry=app)
    ada = await enter(node)
    position = ada.heard()[-1]["ok"]["position"]
    await ask(ada, do="join", group="g", since=position)
    assert [entry[:3] for entry in app.log[1:]] == [("join", "ada", "g")] * 2


async def test_the_legacy_client_meets_every_hook(app: App) -> None:
    node = make_node(registry=app)
    bob = await enter(node, "bob")
    ada = await enter(node, "ada", wire=LEGACY)
    app.answer = str.upper
    ada.say(action="broadcast", rid="g", content="hi")
    await settle(node)
    assert messages(bob) == ["HI"]
    assert [entry[:2] for entry in app.log[2:]] == [("connect", "ada"), ("join", "ada"), ("post", "ada")]
    eve = await enter(node, "eve", None, wire=LEGACY)
    assert eve.heard()[-1] == {"#error": "Not you.", "#code": "FORBIDDEN"}
    assert eve.closed == [Close.DISCONNECTED]


async def test_tokens_beside_the_app(app: App) -> None:
    node = make_node(registry=app, secret=SECRET)
    end = FakeLink("c", node)
    end.say(id=0, do="connect")
    end.say(id=1, do="connect", token=make_token("tom", SECRET, groups=["g"], now=1000.0))
    end.say(id=2, do="connect")
    end.say(do="join", group="g")
    await settle(node)
    end.say(do="connect", token=make_token("tom", SECRET, groups=[], now=1000.0))
    await settle(node)
    replies = {frame["id"]: frame for frame in end.heard()}
    assert "connect with a token" in replies[0]["error"]["message"]
    assert replies[1]["ok"]["user_id"] == "tom"
    assert replies[2]["error"]["code"] == "INVALID_REQUEST"
    assert app.log[-2:] == [("join", "tom", "g", None), ("left", "tom", "g", "left", None)]


async def test_an_app_issues_no_tickets(app: App) -> None:
    node = make_node(registry=app, secret=SECRET)
    await node.start()
    app.user = lambda name: User(name, expires=2000)
    end = await enter(node)
    assert end.session.identity is not None
    assert node.auth.tickets.issue(end.session.identity, 0) is None
    await node.close()


async def test_the_right_to_post(app: App) -> None:
    node = make_node(registry=app)
    app.user = lambda name: User(name, post=["g"])
    ada = await enter(node)
    assert (await ask(ada, do="post", to="g", message=1))["ok"]["recipients"] == 1
    await ask(ada, do="join", group="h")
    app.log.clear()
    assert (await ask(ada, do="post", to="h", message=1))["error"]["code"] == "FORBIDDEN"
    assert app.log == []


@pytest.mark.parametrize("immediate", [True, False])
async def test_the_right_to_post_without_hooks(immediate: bool) -> None:
    node = make_node(MemoryBackend() if immediate else Waiting(), secret=SECRET)
    end = FakeLink("c", node)
    end.say(do="connect", token=make_token("ada", SECRET, post=["team-*"], now=1000.0))
    end.say(do="join", group="news")
    await settle(node)
    assert (await ask(end, do="post", to="news", message=1))["error"]["code"] == "FORBIDDEN"
    await ask(end, do="join", group="team-1")
    assert (await ask(end, do="post", to="team-1", message=1))["ok"]["recipients"] == 1


async def test_groups_without_a_hook_take_the_short_way() -> None:
    registry = Registry()

    @registry.on_post("team-{team}")
    async def post(post: Post[Any], team: str) -> Any:
        return team

    node = make_node(registry=registry)
    end = FakeLink("c", node)
    end.say(do="connect", guest="ada")
    end.say(do="join", group="lobby")
    end.say(do="post", to="lobby", message=1)
    assert node.counters.posts == 1  # executed at once, without a task
    end.say(do="join", group="team-red")
    end.say(do="post", to="team-red", message=1)
    await settle(node)
    assert messages(end) == [1, "red"]


async def test_the_handshake_is_forgotten_once_it_is_answered(app: App) -> None:
    node = make_node(registry=app)
    for user in ("ada", "eve", None):
        end = await enter(node, user, None)
        assert end.session.app is not None
        assert end.session.app.handshake is None
        end.say(id=5, do="connect")
        await settle(node)
        assert end.heard()[-1]["error"]["code"] in {"INVALID_REQUEST", "UNAUTHORIZED"}
    assert [entry[0] for entry in app.log] == ["connect"] * 3


@pytest.mark.parametrize("how", ["lost", "ending"])
async def test_a_client_that_leaves_while_its_join_is_asked_about_never_joins(app: App, how: str) -> None:
    node = make_node(registry=app)
    bob, ada = await enter(node, "bob"), await enter(node, "ada", None)
    app.gate = asyncio.Event()
    ada.say(do="join", group="g")
    await asyncio.sleep(0)
    if how == "lost":
        ada.session.lost()
    else:
        ada.session.ending(node.now())
    app.gate.set()
    await settle(node)
    assert [frame for frame in bob.heard() if frame.get("type") == "notice"] == []
    assert ada.session.app is not None
    assert ada.session.app.group is None


async def test_without_a_hook_posts_take_the_same_way_as_without_an_app() -> None:
    registry = Registry()

    @registry.on_join
    async def join(member: Member) -> None: ...

    node = make_node(registry=registry)
    assert node.commands.post_now == Commands.post_now.__get__(node.commands)
    hub = Hub(guests=True)
    await hub.get()
    assert type(hub._lifecycle.running().commands) is Commands
    await hub._lifecycle.stop()


async def test_a_name_that_is_too_long_is_not_looked_up() -> None:
    """An attack: what is looked up is remembered."""
    registry = Registry()

    @registry.on_join("team-{team}")
    async def join(member: Member, team: str) -> None: ...

    node = make_node(registry=registry)
    end = FakeLink("c", node)
    end.say(do="connect", guest="ada")
    for number in range(10):
        assert "error" in await ask(end, do="join", group=f"{number}" * 1000)
    await ask(end, do="join", group="g")
    assert set(cast(HookCalls, node.hooks)._joins._found) == {"g"}


async def test_a_connection_ends_when_its_user_expires(app: App) -> None:
    node = make_node(registry=app)
    app.user = lambda name: User(name, expires=1020)
    end = await enter(node)
    end.session.tick(end.born + 19)
    assert end.closed == []
    end.session.heard = True
    end.session.tick(end.born + 25)
    assert end.closed == [Close.TOKEN_EXPIRED]


async def test_posts_that_no_hook_checks_need_no_task() -> None:
    registry, started = Registry(), list[str]()

    class Watched(Pipelined):
        def publish_soon(self, message: Message, done: Callable[[int | CommandError], object], *rest: Any) -> None:
            started.append(message.sender_rid)
            super().publish_soon(message, done, *rest)

    @registry.on_post("team-{team}")
    async def shout(post: Post[str], team: str) -> str:
        return post.message.upper()

    node = make_node(Watched(), registry=registry)
    end = FakeLink("c0", node)
    end.say(do="connect", guest="ada")
    for group in ("team-1", "talk"):
        await settle(node)
        end.say(do="join", group=group)
        await settle(node)
        assert (await ask(end, do="post", to=group, message="x", key="k"))["ok"]["recipients"] == 1
    assert messages(end) == ["X", "x"]
    assert started == ["talk"]
