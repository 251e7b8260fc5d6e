"""A server process: connects settings, node, transports and sockets; starts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import uvicorn

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.base import Backend
from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.errors import CommandError, SettingsError, StoreError
from hubbub.groups.history import Window
from hubbub.node import Node
from hubbub.settings import Settings
from hubbub.transports.http.app import create_app
from hubbub.transports.http.held_bytes import HttpMemory
from hubbub.transports.http.protocol import HttpProtocol
from hubbub.transports.websocket.protocol import WebSocketProtocol

if sys.platform != "win32":
    import resource

BACKLOG = 4096
"""Connections that the kernel queues for each listener before we accept them; the default maximum of Linux."""

LISTENERS = 8
"""Sockets that listen on the port, each with its own backlog. When 10,000 clients reconnect at once, a single backlog
overflows, and the kernel lets the others retry after 1, 3 and 7 seconds: all at once again each time."""

UNSENT = 65_536
"""Bytes for a slow connection that the kernel buffers; further ones wait, and are counted, in our own queue."""

SPARE_FILES = 96
"""Open files that are reserved for the process itself: loop, listeners, logs, key set, backend, and refusals."""


def window(settings: Settings) -> Window:
    """Return how much history the settings keep."""
    return Window(
        messages=settings.history_messages,
        # A client that reconnects is sent all of it at once, which must fit into the queue of a slow reader.
        bytes=min(settings.history_bytes, settings.max_queue // 2),
        age=settings.history_age,
        inbox=settings.inbox_messages,
        total=settings.history_total,
        keys=settings.history_keys,
        gone=settings.history_idle_groups,
        absence=settings.restart_grace,
        user=settings.history_user,
    )


class Server:
    """A Hubbub server in the running event loop.

    Use ``async with Server(Settings(...)) as server:`` inside your program, or call `serve` to run until a signal
    arrives, as ``hubbub serve`` does.

    Attributes:
        url: The address, with the port that the system has chosen, once started.
        node: The node, once started.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.url = ""
        self.node: Node
        self._uvicorn: _Uvicorn
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
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=self._sockets))
        listening = asyncio.create_task(self._uvicorn.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._serving.done():
            self._serving.result()

    async def _end(self) -> None:
        await self._serving
        await self.node.close()

    async def _prepare(self, *, signals: bool) -> None:
        settings = self.settings
        self._sockets = _listen(settings)
        self.url = _url(self._sockets[0])
        self.node = Node(settings, make_backend(settings), Authenticator(settings))
        config = uvicorn.Config(
            create_app(self.node),
            ws=cast(Any, partial(WebSocketProtocol, self.node)),
            http=cast(Any, partial(HttpProtocol, _most_connections(), HttpMemory())),
            lifespan="off",
            access_log=False,  # uvicorn's would show query strings, which may contain tokens
            log_config=None,
            server_header=False,
            proxy_headers=False,  # only the setting `forwarded` decides
            timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
            backlog=BACKLOG,
        )
        self._uvicorn = _Uvicorn(config, self.node, signals=signals)
        try:
            await self.node.start()
        except CommandError as error:
            for listener in self._sockets:
                listener.close()
            raise SettingsError(f"backend: {_start_failure(error)}") from None


def _start_failure(error: CommandError) -> str:
    return f"cannot use the store: {error.reason}" if isinstance(error, StoreError) else error.message


class _Uvicorn(uvicorn.Server):
    """uvicorn's server. It reports when it listens, drains the node before it stops, and can leave signals alone."""

    def __init__(self, config: uvicorn.Config, node: Node, *, signals: bool) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._stopping = asyncio.Event()
        self._node = node
        self._signals = signals

    def stop(self) -> None:
        self._node.draining = True
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Do what uvicorn does ten times a second, but stop at once when asked to."""
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.1)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Meanwhile the listener stays open: /readyz answers 503, and new clients are told why they are refused.
        await self._node.drain()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if not self._signals:
            yield
            return
        with super().capture_signals():
            yield


def make_backend(settings: Settings) -> Backend:
    """Return the backend that the settings name. Raises `SettingsError` if there is no such backend."""
    kept = window(settings)
    return MemoryBackend(kept) if settings.backend == "memory" else ValkeyBackend(parse_address(settings.backend), kept)


def _most_connections() -> int:
    """Return how many connections the limit of open files allows."""
    if sys.platform == "win32":  # there is no such limit
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)


def reserve_port(settings: Settings) -> socket.socket:
    """Return a bound socket that does not listen; it reserves the address, so that only our workers can listen there.

    Raises:
        SettingsError: The address is in use or not available.
    """
    first = _bind(settings.host, settings.port)
    # Set after binding: with it set before, binding could succeed where another program listens.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return first


def _listen(settings: Settings) -> list[socket.socket]:
    if settings.workers != 1:  # their parent has reserved the port
        first = _bind(settings.host, settings.port, shared=True)
    elif sys.platform != "linux":  # elsewhere the sockets would not share new connections
        return [_bind(settings.host, settings.port)]
    else:
        first = reserve_port(settings)
    port = first.getsockname()[1]
    return [first, *(_bind(settings.host, port, shared=True) for _ in range(LISTENERS - 1))]


def _bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY on accepted sockets only if the protocol is named; else small answers wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sys.platform == "linux":  # accepted sockets inherit this; elsewhere the kernel's buffers add to our limit
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
