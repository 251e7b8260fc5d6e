"""When a hub under test starts and ends, and what is refused outside of that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from hubbub.errors import HubError, SettingsError
from hubbub.hub.hub import Hub
from hubbub.hub.types import Member
from hubbub.testing import TestHub


async def test_two_hubs_in_one_test_share_the_clock(hub: TestHub) -> None:
    async with TestHub() as other:
        alice, bob = await hub.user("alice", ttl=60, join="g"), await other.user("bob", ttl=60, join="g")
        await alice.post(1)
        assert bob.unread == ()
        await hub.sleep(60)
        assert (alice.closed, await bob.wait_closed()) == (4002, 4002)
        assert await hub.time() == await other.time()


async def test_one_hub_in_several_tests() -> None:
    app_hub = Hub(guests=True)
    for _ in range(3):
        async with TestHub(app_hub) as hub:
            alice = await hub.guest("alice", join="g")
            assert (await alice.users()).list[0].user_id == "alice"
    async with TestHub(app_hub) as hub:
        with pytest.raises(HubError, match="tested already"):
            await TestHub(app_hub).__aenter__()
        await hub.guest("alice")
        with pytest.raises(HubError, match="used before"):
            await hub.__aenter__()


async def test_outside_of_its_block() -> None:
    hub = TestHub()
    with pytest.raises(HubError, match="not begun"):
        await hub.user("alice")
    async with hub:
        alice = await hub.user("alice")
    assert alice.closed == 1001
    with pytest.raises(HubError, match="has ended"):
        await hub.user("bob")
    with pytest.raises(HubError, match="connect again"):
        await alice.join("g")


async def test_a_hub_that_runs_already() -> None:
    app_hub = Hub(guests=True)
    await app_hub.get()
    with pytest.raises(HubError, match="begin the test hub before the app starts"):
        await TestHub(app_hub).__aenter__()
    await app_hub._lifecycle.stop()
    async with TestHub(app_hub) as hub:
        await hub.guest("alice")


async def test_a_hub_that_cannot_start() -> None:
    async with TestHub(Hub()) as hub:
        for _ in range(2):
            with pytest.raises(SettingsError, match="on_connect"):
                await hub.connect()


async def test_the_end_takes_no_time_and_tells_the_hooks() -> None:
    app_hub, told = Hub(guests=True, shutdown_timeout=3600), list[str]()

    @app_hub.on_leave
    async def left(member: Member, group: str, why: str) -> None:
        await asyncio.sleep(2)
        told.append(why)

    async with TestHub(app_hub) as hub:
        alice, bob = await hub.guest("alice", join="g"), await hub.guest("bob", join="g")
        await alice.leave()
        assert told == []  # it takes 2 s
        await hub.sleep(2)
        assert told == ["left"]
    assert told == ["left", "disconnected"]
    assert bob.closed == 1001


async def test_an_app_that_starts_the_hub_itself() -> None:
    app_hub, calls = Hub(guests=True), list[str]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["type"])
        await inner(scope, receive, send)

    inner = Starlette(routes=[Mount("/realtime", app_hub)], lifespan=app_hub.lifespan)
    async with TestHub(app_hub, app=app) as hub:
        await asyncio.gather(*(hub.guest(f"g{number}") for number in range(3)))  # the first uses are at the same time
    assert calls == ["lifespan", "websocket", "websocket", "websocket"]


async def test_an_app_that_cannot_start() -> None:
    app_hub = Hub()
    app = Starlette(routes=[Mount("/realtime", app_hub)], lifespan=app_hub.lifespan)
    async with TestHub(app_hub, app=app) as hub:
        with pytest.raises(RuntimeError, match="on_connect"):
            await hub.connect()
