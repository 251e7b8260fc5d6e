"""An app that a server asks over HTTP: Starlette behind uvicorn in the loop of the test. It keeps what it was asked."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hubbub.hooks import verify
from support.hub import Uvicorn

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()

Decide = Callable[["HookApp", Request, dict[str, Any]], Awaitable[Any]]


class HookApp:
    """What the app has been asked, and how it answers.

    Attributes:
        url: Where it is asked.
        asked: The verified bodies, in the order in which they came.
        decide: Returns the answer to a body as JSON, or as a `Response`.
        running: How many requests are being answered.
        peak: The most of them.
    """

    def __init__(self, decide: Decide) -> None:
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.decide = decide
        self.running = 0
        self.peak = 0
        self.app = Starlette(routes=[Route("/hubbub", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        body = verify(await request.body(), request.headers, SECRET)
        self.asked.append(body)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            answer = await self.decide(self, request, body)
        finally:
            self.running -= 1
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the data of everything of one type that it was asked or told."""
        return [body["data"] for body in self.asked if body["type"] == kind]

    async def was_asked(self, kind: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait until it was asked or told so often, and return all data of that type."""
        async with asyncio.timeout(60):
            while len(found := self.of(kind)) < number:
                await asyncio.sleep(0.01)
        return found


@asynccontextmanager
async def serve_app(decide: Decide, port: int = 0) -> AsyncIterator[HookApp]:
    """Run an app that answers with `decide`."""
    app = HookApp(decide)
    config = uvicorn.Config(
        app.app, port=port, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = Uvicorn(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            serving.result()
            raise RuntimeError("uvicorn has not started")
        await asyncio.sleep(0.01)
    app.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/hubbub"
    try:
        yield app
    finally:
        server.should_exit = True
        await serving
