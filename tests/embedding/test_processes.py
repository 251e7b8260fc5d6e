"""Apps as processes of their own: the command lines, the end, and what is refused at the start."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from support.app_process import app_process
from support.mounted_contract import Way, log_in
from support.waiting import PATIENCE

HUBBUB = ("hubbub", "serve", "--app", "{app}", "--port", "{port}")
UVICORN = ("uvicorn", "{app}", "--port", "{port}")
OURS = ("--ws", "hubbub.contrib.uvicorn:WebSockets")


@pytest.mark.parametrize(
    ("command", "tier", "code", "restart"),
    [
        (HUBBUB, 1, 0, True),
        ((*UVICORN, *OURS), 2, -15, True),  # uvicorn ends itself with the signal that it got
        (UVICORN, 3, -15, False),
    ],
    ids=["hubbub serve --app", "uvicorn --ws", "uvicorn"],
)
async def test_stopping_tells_clients_ends_the_lifespan_and_leaves_no_traceback(
    command: tuple[str, ...], tier: int, code: int, restart: bool
) -> None:
    async with app_process(*command) as server:
        way = Way(server.url, tier)
        headers = {"cookie": await log_in(way, "ada")}
        async with (
            connect(f"{way.websockets}/realtime/v1/connect", additional_headers=headers, proxy=None) as client,
            connect(f"{way.websockets}/echo", proxy=None) as echo,
        ):
            await client.send('{"id":1,"do":"connect"}')
            assert "ok" in json.loads(await client.recv())
            await echo.recv()
            stopping = asyncio.create_task(server.stop())
            frames = []
            with suppress(ConnectionClosed):  # raised for 1012
                async with asyncio.timeout(PATIENCE):
                    async for frame in client:
                        frames.append(json.loads(frame))  # noqa: PERF401  # kept when it raises
            assert [frame["type"] for frame in frames] == (["restart"] if restart else [])
            assert client.close_code == (1001 if restart else 1012)
        assert await stopping == code
        log = server.log()
        assert "Traceback" not in log, log
        assert "ERROR" not in log, log
        assert log.count(f"tier {tier}") == 1, log
