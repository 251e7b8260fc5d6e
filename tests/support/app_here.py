"""Servers for apps in the loop of the test: uvicorn, and each of the three ways to run a hub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import uvicorn

from hubbub.app_server import AppServer, AppSettings
from hubbub.contrib.uvicorn import WebSockets
from support.mounted_contract import Way


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class UvicornHere:
    """``async with UvicornHere(app) as url:`` serves an app; `options` are those of ``uvicorn.Config``."""

    def __init__(self, app: Any, **options: Any) -> None:
        config = uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=5, **options)
        self._server = _Server(config)
        self._serving: asyncio.Task[None]

    async def __aenter__(self) -> str:
        self._serving = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.005)
            if self._serving.done():
                self._serving.result()
        host, port = self._server.servers[0].sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._serving


@asynccontextmanager
async def run_app(app: Any, tier: int) -> AsyncIterator[Way]:
    """Run an app in one of the three ways."""
    if tier == 1:
        async with AppServer(app, AppSettings(port=0)) as server:
            yield Way(server.url, tier)
    else:
        async with UvicornHere(app, ws=WebSockets if tier == 2 else "auto") as url:
            yield Way(url, tier)
