"""A hub's lifespan, alone and around another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from hubbub import Hub, HubError
from hubbub.errors import SettingsError
from hubbub.hub.lifespan import run_lifespan
from support.clients import SECRET


def test_the_inner_lifespan_begins_first_and_ends_last() -> None:
    hub = Hub(secret=SECRET)
    seen = []

    @asynccontextmanager
    async def inner(app: Starlette) -> AsyncIterator[dict[str, str]]:
        seen.append((app, hub._lifecycle.state.value))
        yield {"motto": "hello"}
        seen.append((app, hub._lifecycle.state.value))

    app = Starlette(lifespan=hub.lifespan(inner), routes=[Mount("/realtime", hub)])
    with TestClient(app) as client:
        assert client.get("/realtime/readyz").json()["ready"]
        assert client.app_state == {"motto": "hello"}
    assert seen == [(app, "new"), (app, "stopped")]


def test_a_hub_that_cannot_start_stops_the_app_and_ends_the_inner_lifespan() -> None:
    ended = []

    @asynccontextmanager
    async def inner(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            ended.append(True)

    with (
        pytest.raises(SettingsError, match="cannot tell who connects"),
        TestClient(Starlette(lifespan=Hub().lifespan(inner))),
    ):
        pass
    assert ended == [True]


def test_an_error_of_the_app_reaches_the_hub_and_stops_it() -> None:
    hub = Hub(secret=SECRET)

    async def use() -> None:
        with pytest.raises(ZeroDivisionError):
            async with hub.lifespan(None):
                raise ZeroDivisionError
        with pytest.raises(HubError, match="was stopped"):
            await hub.get()

    asyncio.run(use())


async def test_a_hub_as_an_app_by_itself() -> None:
    for hub, expected in (
        (Hub(secret=SECRET), ["lifespan.startup.complete", "lifespan.shutdown.complete"]),
        (Hub(), ["lifespan.startup.failed"]),
    ):
        said: list[str] = []

        async def receive() -> dict[str, str]:
            return {}

        async def send(message: object, said: list[str] = said) -> None:
            assert isinstance(message, dict)
            said.append(message["type"])

        await run_lifespan(hub._lifecycle, receive, send)
        assert said == expected
