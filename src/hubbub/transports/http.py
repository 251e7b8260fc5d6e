"""The HTTP API."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hubbub.node import Node

WEB = Path(__file__).parent.parent / "web"


def create_app(node: Node) -> Starlette:
    """Return the app."""

    async def healthz(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def page(request: Request) -> FileResponse:
        return FileResponse(WEB / "index.html")

    async def client(request: Request) -> FileResponse:
        return FileResponse(WEB / "hubbub.js")

    (WEB / "demo").mkdir(exist_ok=True)
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/", page),
            Route("/hubbub.js", client),
            Mount("/demo", StaticFiles(directory=WEB / "demo")),
        ]
    )
