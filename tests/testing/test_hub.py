"""`TestHub`: who connects, what is refused, and what time brings. Rights, limits and hooks are those of any hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from hubbub.errors import HubError, SettingsError
from hubbub.hub.hub import Hub
from hubbub.hub.types import Deny, Member, Post, User
from hubbub.testing import TestHub


async def test_guests_and_users(hub: TestHub) -> None:
    alice, bob = await hub.guest("alice", join="g"), await hub.user("bob", join="g")
    assert (alice.user_id, bob.user_id) == ("guest:alice", "bob")
    assert (await hub.guest("alice")).user_id == "guest:alice"  # another tab of the same browser
    with hub.refused("FORBIDDEN", match="in use"):
        await hub.guest("alice", guest_key="the key of somebody else")


async def test_rights(hub: TestHub) -> None:
    alice = await hub.user("alice", groups=["team-*"], post=["team-1"], private=False)
    with hub.refused("FORBIDDEN"):
        await alice.join("other")
    await alice.join("team-2")
    with hub.refused("FORBIDDEN", match="may not post"):
        await alice.post(1)
    with hub.refused("FORBIDDEN", match="private"):
        await alice.post(1, {"user_id": "bob"})
    with hub.refused("FORBIDDEN"):
        await hub.user("bob", groups=["a"], join="b")


async def test_a_token_that_was_issued_within_a_second(hub: TestHub) -> None:
    await hub.sleep(0.3)
    alice = await hub.user("alice", ttl=60)
    await hub.sleep(59)
    assert alice.closed is None
    await hub.sleep(1)
    assert alice.closed == 4002


async def test_limits_do_not_depend_on_the_speed_of_the_machine() -> None:
    async with TestHub(rate_limit=1, rate_burst=5) as hub:
        alice = await hub.user("alice", join="g")
        for number in range(3):
            await alice.post(number)
        with hub.refused("RATE_LIMITED"):
            await alice.post(3)
        await hub.sleep(1)
        await alice.post(3)
        with hub.refused("RATE_LIMITED"):
            await alice.post(4)


async def test_a_slow_machine_does_not_use_up_the_budgets_of_users() -> None:
    """They count CPU time, while the clock of the hub stands still."""
    async with TestHub(rate_limit=0) as hub:
        alice = await hub.user("alice", join="g")
        for number in range(300):
            alice._socket.send('{"do":"users"}' if number % 2 else '{"do":"post","to":"g","message":1}')
            running = await hub._run.running()
            next(iter(running.node.sessions.values())).budget.left = -1.0
        await alice.post("last")
        assert len(alice.unread) == 151


async def test_settings() -> None:
    async with TestHub(max_message=10) as hub:
        alice = await hub.user("alice", join="g")
        with hub.refused("TOO_LARGE") as refusal:
            await alice.post("longer than ten")
        assert "10" in refusal.message
    with pytest.raises(SettingsError, match="did you mean max_message"):
        TestHub(max_mesage=10)
    with pytest.raises(HubError, match="its own settings: set max_message"):
        TestHub(Hub(guests=True), max_message=10)
    with pytest.raises(HubError, match="Name the hub"):
        TestHub(app=Starlette())


async def test_what_time_brings() -> None:
    async with TestHub(history_age=300, ping_interval=20) as hub:
        began = await hub.time()
        alice = await hub.user("alice", join="g", ttl=60)
        bob = await hub.user("bob", ttl=86_400)
        await alice.post("old", {"group": "g"})
        await hub.sleep(60)
        assert (alice.closed, bob.closed) == (4002, None)
        await hub.sleep(239)
        assert (await bob.join("g", history=10)).replayed == 1
        await bob.leave()
        await hub.sleep(300)
        assert (await bob.join("g", history=10)).replayed == 0
        assert await hub.time() == began + 599


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
async def test_a_time_that_cannot_pass(hub: TestHub, seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be 0 or more"):
        await hub.sleep(seconds)


async def test_pages_of_other_origins_and_refused_handshakes(hub: TestHub) -> None:
    with hub.refused("FORBIDDEN", match="evil"):
        await hub.connect(headers={"Origin": "https://evil.example"})
    with hub.refused("UNAUTHORIZED"):
        await hub.connect(token="not a token")
    with hub.refused("UNAUTHORIZED"):
        await hub.connect(headers={"Authorization": "Bearer not-a-token"})
    with hub.refused("INVALID_PARAMETER"):
        await hub.connect()


def team_hub() -> Hub:
    """A hub with each kind of hook."""
    hub = Hub(hook_timeout=5)

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        name = conn.cookies.get("user")
        if name == "mallory":
            raise Deny("Log in first.")
        return None if name is None else User(name, data=conn.query_params.get("team"))

    @hub.on_join("team-{team}")
    async def may_join(member: Member, team: str) -> None:
        if member.data != team:
            raise Deny("Not your team.")

    @hub.on_post("team-{team}")
    async def moderate(post: Post[Any], team: str) -> Any:
        await asyncio.sleep(post.message if isinstance(post.message, int) else 0)
        return post.message

    return hub


async def test_the_hooks_of_an_app() -> None:
    async with TestHub(team_hub()) as hub:
        alice = await hub.connect(cookies={"user": "alice"}, query={"team": "1"}, join="team-1")
        await alice.post("hello")
        assert (await alice.next()).message == "hello"
        with hub.refused("FORBIDDEN", match="Not your team"):
            await alice.join("team-2")
        with hub.refused("FORBIDDEN", match="Log in first"):
            await hub.connect(cookies={"user": "mallory"})
        with hub.refused("UNAUTHORIZED", match="does not know who you are"):
            await hub.connect()
        with pytest.raises(HubError, match="no secret"):
            await hub.user("bob")
        with hub.refused("FORBIDDEN", match="guests"):
            await hub.guest("bob")


async def test_hooks_are_limited_on_the_clock_of_the_hub() -> None:
    async with TestHub(team_hub()) as hub:
        alice = await hub.connect(cookies={"user": "alice"}, query={"team": "1"}, join="team-1")
        began = await hub.time()
        await alice.post(4)
        assert await hub.time() == began + 4
        with hub.refused("UNAVAILABLE", match="within 5 s"):
            await alice.post(3600)
        assert await hub.time() == began + 9


async def test_a_hook_that_waits_for_the_test() -> None:
    app_hub, gate = Hub(guests=True), asyncio.Event()

    @app_hub.on_join
    async def wait(member: Member) -> None:
        await gate.wait()

    async with TestHub(app_hub) as hub:
        alice = await hub.guest("alice")
        joining = asyncio.create_task(alice.join("g"))
        await asyncio.sleep(0)
        gate.set()
        await joining
        assert alice.group == "g"


@asynccontextmanager
async def opened(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {"motto": "from the lifespan"}


def session_app() -> tuple[Hub, Starlette]:
    hub = Hub()

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        return User(conn.session["name"], data=conn.state.motto) if "name" in conn.session else None

    @hub.on_post
    async def add(post: Post[Any]) -> Any:
        return [post.message, post.member.data]

    async def login(request: Request) -> Response:
        request.session["name"] = request.query_params["name"]
        return JSONResponse({})

    routes = [Route("/login", login, methods=["POST"]), Mount("/live", hub)]
    middleware = [Middleware(SessionMiddleware, secret_key="a key for cookies")]
    return hub, Starlette(routes=routes, middleware=middleware, lifespan=hub.lifespan(opened))


async def test_through_the_middleware_of_an_app_with_its_lifespan() -> None:
    app_hub, app = session_app()
    cookies = TestClient(app)  # without "with": it only makes the cookie
    cookies.post("/login", params={"name": "ada"})
    async with TestHub(app_hub, app=app, at="/live") as hub:
        ada = await hub.connect(cookies=dict(cookies.cookies), join="g")
        await ada.post("hi")
        assert (ada.user_id, (await ada.next()).message) == ("ada", ["hi", "from the lifespan"])
        with hub.refused("UNAUTHORIZED"):
            await hub.connect()
    async with TestHub(app_hub, app=app, at="/wrong") as hub:
        with hub.refused("FORBIDDEN"):
            await hub.connect()
