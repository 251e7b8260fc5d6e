"""A server process: connects settings, node, transports and sockets; starts and stops them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import uvicorn

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.choose import make_backend
from hubbub.clock import running_clock
from hubbub.errors import CommandError, SettingsError, StoreError
from hubbub.hooks import Hooks
from hubbub.http_hooks.hooks import HttpHooks
from hubbub.listeners import BACKLOG, listen, most_connections, url
from hubbub.node import Node
from hubbub.settings import Settings
from hubbub.transports.http.app import create_app
from hubbub.transports.http.held_bytes import HttpMemory
from hubbub.transports.http.protocol import HttpProtocol
from hubbub.transports.websocket.protocol import WebSocketProtocol
from hubbub.uvicorn_server import UvicornServer


class Server:
    """A Hubbub server in the running event loop.

    Use ``async with Server(Settings(...)) as server:`` inside your program, or call `serve` to run until a signal
    arrives, as ``hubbub serve`` does.

    Args:
        settings: The settings; None for the defaults.
        hooks: What an app decides; None without an app.

    Attributes:
        url: The address, with the port that the system has chosen, once started.
        node: The node, once started.
    """

    def __init__(self, settings: Settings | None = None, hooks: Hooks | None = None) -> None:
        self.settings = settings or Settings()
        self._hooks = hooks
        self.url = ""
        self.node: Node
        self._uvicorn: UvicornServer
        self._sockets: list[socket.socket]
        self._serving: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Start, and return when requests are answered. The program keeps its own signal handlers.

        Raises:
            SettingsError: The address is in use or not available, or the store cannot be reached.
        """
        await self._start(signals=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop: tell clients when to reconnect, close connections within ``shutdown_timeout``, release everything."""
        self.stop()
        await self._end()

    async def serve(self, started: Callable[[Server], None]) -> None:
        """Serve until SIGINT or SIGTERM; call ``started(server)`` when requests are answered.

        Raises:
            SettingsError: The address is in use or not available, or the store cannot be reached.
        """
        await self._start(signals=True)
        started(self)
        await self._end()

    def stop(self) -> None:
        """Begin to stop. `serve`, or the end of the ``async with`` block, returns when that is done."""
        self._uvicorn.stop()

    async def _start(self, *, signals: bool) -> None:
        await self._prepare(signals=signals)
        self._serving = asyncio.create_task(self._serve_quietly())
        listening = asyncio.create_task(self._uvicorn.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._serving.done():
            self._serving.result()

    async def _serve_quietly(self) -> None:
        _OURS.set(True)
        logging.getLogger("uvicorn.error").addFilter(_no_start_messages)  # adding it again changes nothing
        await self._uvicorn.serve(sockets=self._sockets)

    async def _end(self) -> None:
        await self._serving
        await self.node.close()

    async def _prepare(self, *, signals: bool) -> None:
        settings = self.settings
        self._sockets = listen(settings.host, settings.port, workers=settings.workers)
        self.url = url(self._sockets[0])
        clock = running_clock()
        auth = Authenticator(settings, unix_time=clock.unix_time, clock=clock.monotonic)
        hooks = HttpHooks(settings) if settings.hooks is not None and self._hooks is None else self._hooks
        self.node = Node(settings, make_backend(settings, clock), auth, hooks)
        config = uvicorn.Config(
            create_app(self.node),
            ws=cast(Any, partial(WebSocketProtocol, self.node)),
            http=cast(Any, partial(HttpProtocol, most_connections(), HttpMemory())),
            lifespan="off",
            access_log=False,  # uvicorn's would show query strings, which may contain tokens
            log_config=None,
            server_header=False,
            proxy_headers=False,  # only the setting `forwarded` decides
            timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
            backlog=BACKLOG,
        )
        self._uvicorn = UvicornServer(config, lambda: [self.node], signals=signals)
        try:
            await self.node.start()
        except CommandError as error:
            for listener in self._sockets:
                listener.close()
            raise SettingsError(f"backend: {_start_failure(error)}") from None


_OURS: ContextVar[bool] = ContextVar("_OURS", default=False)
"""Whether this task, or one that started it, runs our uvicorn and not one that the program runs itself."""


def _no_start_messages(record: logging.LogRecord) -> bool:
    """Return False for what our uvicorn logs about starting and stopping: the program around it does that itself."""
    return record.levelno >= logging.WARNING or not _OURS.get()


def _start_failure(error: CommandError) -> str:
    return f"cannot use the store: {error.reason}" if isinstance(error, StoreError) else error.message
