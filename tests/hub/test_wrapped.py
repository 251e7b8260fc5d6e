"""An app behind a hub: paths, and both lifespans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hubbub import Hub
from hubbub.errors import SettingsError
from support.clients import SECRET


async def where(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.scope['root_path']} {request.scope['path']}")


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An app without a lifespan, as Django's."""
    if scope["type"] != "http":
        raise ValueError(f"not {scope['type']}")
    await PlainTextResponse("bare")(scope, receive, send)


@pytest.mark.parametrize("root", ["", "/behind/a proxy"])
def test_below_the_path_the_hub_answers_and_elsewhere_the_app(root: str) -> None:
    app = Starlette(routes=[Route("/{rest:path}", where)])
    with TestClient(Hub(secret=SECRET).wrap(app, at="/realtime/"), root_path=root) as client:
        assert client.get(f"{root}/realtime/readyz").json()["ready"]
        for path in ("/", "/realtimes", "/x/realtime"):
            assert client.get(root + path).text == f"{root} {root}{path}"


def test_an_app_without_a_lifespan() -> None:
    hub = Hub(secret=SECRET)
    with TestClient(hub.wrap(bare)) as client:
        assert client.get("/").text == "bare"
        assert hub._lifecycle.state.value == "running"
    assert hub._lifecycle.state.value == "stopped"


def test_both_lifespans_run() -> None:
    hub = Hub(secret=SECRET)
    states = []

    @asynccontextmanager
    async def inner(app: Starlette) -> AsyncIterator[None]:
        states.append(hub._lifecycle.state.value)
        yield
        states.append(hub._lifecycle.state.value)

    with TestClient(hub.wrap(Starlette(lifespan=inner))):
        assert hub._lifecycle.state.value == "running"
    assert states == ["new", "stopped"]


@pytest.mark.parametrize("at", ["", "/", "realtime"])
def test_a_path_that_is_none(at: str) -> None:
    with pytest.raises(SettingsError, match="must be a path"):
        Hub(secret=SECRET).wrap(bare, at=at)
