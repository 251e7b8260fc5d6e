"""The HTTP side of a server: which path is answered by which endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hubbub.errors import CommandError
from hubbub.node import Node
from hubbub.transports.http.api import Api
from hubbub.transports.http.errors import answer, on_command_error, on_routing_error
from hubbub.transports.http.files import file_routes
from hubbub.transports.http.guard import Guard
from hubbub.transports.http.metrics import metrics_endpoint
from hubbub.transports.http.openapi import openapi
from hubbub.transports.http.request_rates import RequestRates
from hubbub.transports.http.skapi import skapi_routes
from hubbub.transports.mounted_path import PREFIX

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def routes(node: Node) -> list[Route]:
    """Return the routes of all paths that the server of `node` answers, that of the WebSocket included."""
    rates = RequestRates(node.settings.http_rate_limit, node.settings.http_rate_burst)
    return [
        Route("/healthz", healthz),
        Route("/readyz", _readyz(node)),
        Route("/metrics", metrics_endpoint(node)),
        Route("/openapi.json", _document(node)),
        *Api(node, rates).routes(),
        *skapi_routes(node, rates),
        *file_routes(node.settings),
    ]


def create_app(node: Node) -> ASGIApp:
    """Return the ASGI app for `node`: what a server runs, or a hub below its path."""
    table = routes(node)
    templates: dict[object, str] = {route.endpoint: route.path_format for route in table}
    app = Starlette(
        routes=table,
        middleware=[Middleware(Guard, node=node, templates=templates)],
        exception_handlers={CommandError: on_command_error, HTTPException: on_routing_error},
    )
    app.router.redirect_slashes = False  # a name may be empty or end with a slash
    return app


async def healthz(request: Request) -> Response:
    """Report that the process is alive and its event loop runs."""
    return answer({"status": "ok"})


def _readyz(node: Node) -> Endpoint:
    async def readyz(request: Request) -> Response:
        """Report whether new connections are served, and if not, why."""
        parts = {"draining": node.draining, "backend": node.backend.ready, "keys": node.auth.ready}
        if node.hooks is not None and node.hooks.remote is not None:
            # It does not change `ready`: all nodes ask the same app, and connections that are open go on.
            parts["hooks"] = not node.hooks.remote.away
        return answer({"ready": node.ready, **parts}, 200 if node.ready else 503)

    return readyz


def _document(node: Node) -> Endpoint:
    description = openapi(node.settings)

    async def document(request: Request) -> Response:
        """Describe the HTTP API, at the path at which it is mounted."""
        body = msgspec.json.encode({**description, "servers": [{"url": request.scope.get(PREFIX) or "/"}]})
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-cache"})

    return document
