"""A server process that runs an app: our sockets and HTTP limits, and the hub in the app takes the WebSockets over."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Self, cast

import uvicorn
from uvicorn.importer import ImportFromStringError, import_from_string

from hubbub.errors import SettingsError
from hubbub.hub.tiers import announce_server
from hubbub.listeners import BACKLOG, listen, most_connections, url
from hubbub.node import Node
from hubbub.transports.http.held_bytes import HttpMemory
from hubbub.transports.http.protocol import HttpProtocol
from hubbub.transports.websocket.app_protocol import AppWebSockets
from hubbub.transports.websocket.protocol import WebSocketProtocol
from hubbub.uvicorn_server import UvicornServer


@dataclass(frozen=True, kw_only=True, slots=True)
class AppSettings:
    """What ``hubbub serve --app`` is started with; everything else is said to the ``Hub`` in the app."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 lets the system choose one."""
    workers: int = 1
    """Processes that serve the app. More than one need a Hub with a backend that they share."""
    log_level: str = "info"
    """Least severe level to log: debug, info, warning or error."""
    shutdown_timeout: float = 5.0
    """Seconds that connections have to close when the server stops."""


class _WebSockets(AppWebSockets):
    tier: ClassVar[int] = 1


class AppServer:
    """A server for an app, in the running event loop: ``async with AppServer(app, AppSettings()) as server:``.

    Args:
        app: The ASGI app.
        settings: The address and the like.

    Attributes:
        url: The address, with the port that the system has chosen, once started.
    """

    def __init__(self, app: Any, settings: AppSettings | None = None) -> None:
        self.settings = settings or AppSettings()
        self.url = ""
        self._app = app
        self._uvicorn: UvicornServer
        self._serving: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Run the app's lifespan, and return when requests are answered.

        Raises:
            SettingsError: The address is in use or not available.
            HubbubError: The app's lifespan has failed, which was logged.
        """
        settings = self.settings
        announce_server(1, settings.workers)
        sockets = listen(settings.host, settings.port, workers=settings.workers)
        self.url = url(sockets[0])
        config = uvicorn.Config(
            self._app,
            ws=cast(Any, _WebSockets),
            http=cast(Any, partial(HttpProtocol, most_connections(), HttpMemory())),
            access_log=False,  # uvicorn's would show query strings, which may contain tokens
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
            backlog=BACKLOG,
        )
        self._uvicorn = UvicornServer(config, self._nodes, signals=False)
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=sockets))
        listening = asyncio.create_task(self._uvicorn.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._serving.done():
            self._serving.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop: drain the hubs of the app, close all connections within the timeout, end the app's lifespan."""
        self._uvicorn.stop()
        await self._serving

    def _nodes(self) -> Iterable[Node]:
        """Return the nodes of the hubs that have a connection here; the others have nothing to drain."""
        connections = cast("set[object]", self._uvicorn.server_state.connections)
        return {each.node for each in connections if isinstance(each, WebSocketProtocol)}


def load_app(name: str) -> Any:
    """Return the app that ``module:attribute`` names, from the working directory or from what is installed.

    Raises:
        SettingsError: There is no such module or attribute.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return import_from_string(name)
    except ImportFromStringError as error:
        raise SettingsError(f"--app {name}: {error}") from None
