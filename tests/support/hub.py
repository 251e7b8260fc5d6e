"""A hub behind uvicorn in the test's own event loop: real sockets, one line to start it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn

from hubbub.hub.hub import Hub
from hubbub.node import Node
from hubbub.transports.websocket.app_protocol import AppWebSockets


class Running(NamedTuple):
    """A hub that is served. It has a `url`, as a `hubbub.Server` has, so that `support.clients` can connect to it."""

    url: str
    node: Node


class Uvicorn(uvicorn.Server):
    """Leaves the signal handlers of the test run alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(hub: Hub, app: Any = None) -> AsyncIterator[Running]:
    """Serve `hub`, or an `app` that it is mounted in, on a free port; the hub takes the WebSockets over (tier 2)."""
    config = uvicorn.Config(
        app or hub,
        port=0,
        ws=AppWebSockets,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    server = Uvicorn(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            serving.result()
            raise RuntimeError("uvicorn has not started")
        await asyncio.sleep(0)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", await hub._lifecycle.node())
    finally:
        server.should_exit = True
        await serving
