"""The contract of mounted hubs, on our own server and on uvicorn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.app_here import run_app
from support.mounted_app import make_app
from support.mounted_contract import MountedContract, Way, log_in, raw_websocket, text_frame


@pytest.fixture(params=[1, 2, 3], ids=["hubbub serve --app", "uvicorn --ws", "uvicorn"])
async def way(request: pytest.FixtureRequest) -> AsyncIterator[Way]:
    async with run_app(make_app(), request.param) as running:
        yield running


class TestMounted(MountedContract):
    """In the loop of the test."""


async def test_a_flood_through_asgi_is_cut() -> None:
    async with run_app(make_app(), 3) as way:
        raw = await raw_websocket(way, cookie=await log_in(way, "ada"))
        raw.send_text('{"do":"connect"}')
        raw.write(text_frame('{"do":"leave"}') * 10_000)
        assert await raw.close_code() == 4007
