"""The wiring: settings to node, node to transports, transports to a socket; start, address, stop."""

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
from hubbub.errors import CommandError, SettingsError
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
"""Connections that the system may hold for each listener before we accept them; it allows no more by default."""

LISTENERS = 8
"""Sockets that listen on the port, each with a backlog of its own. When 10,000 clients come back at once, one backlog
runs over, and those turned away come back after 1, 3 and 7 seconds: a crowd again each time."""

UNSENT = 65_536
"""Bytes for a slow connection that the system may hold back before they wait, and are counted, in our own queue."""

SPARE_FILES = 96
"""Open files that the process keeps for itself: loop, listener, logs, keys, backend, and to refuse who is too many."""


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

    Use it as ``async with Server(Settings(...)) as server:`` inside a program of your own, or `serve` it until a signal
    ends it, as ``hubbub serve`` does.

    Attributes:
        url: The address, with the port that the system chose, once started.
        node: The operations, once started.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.url = ""
        self.node: Node
        self._uvicorn: _Uvicorn
        self._sockets: list[socket.socket]
        self._serving: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Start, and return when requests are answered; signals stay with the program.

        Raises:
            SettingsError: The address cannot be listened on.
        """
        await self._start(signals=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop: tell the connections to come back later, wait for them for ``shutdown_timeout``, release everything."""
        self.stop()
        await self._end()

    async def serve(self, started: Callable[[Server], None]) -> None:
        """Serve until SIGINT or SIGTERM; call ``started(server)`` when requests are answered.

        Raises:
            SettingsError: The address cannot be listened on.
        """
        await self._start(signals=True)
        started(self)
        await self._end()

    def stop(self) -> None:
        """Begin to stop; what waits for the server to end is told."""
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
            access_log=False,  # uvicorn's would show query strings, and tokens with them
            log_config=None,
            server_header=False,
            proxy_headers=False,  # the setting `forwarded` decides, and nothing else
            timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
            backlog=BACKLOG,
        )
        self._uvicorn = _Uvicorn(config, self.node, signals=signals)
        try:
            await self.node.start()
        except CommandError as error:
            for listener in self._sockets:
                listener.close()
            raise SettingsError(f"backend: {error.message}") from None


class _Uvicorn(uvicorn.Server):
    """uvicorn's server, which says when it listens, tells the node when it drains, and leaves signals alone."""

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
        """Do what uvicorn does ten times a second, but stop at once when told to."""
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.1)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Meanwhile the listener stays open: /readyz can say 503, and newcomers are told why they are refused.
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
    """Return the backend that the settings name. Raises `SettingsError` if there is none of that name."""
    kept = window(settings)
    return MemoryBackend(kept) if settings.backend == "memory" else ValkeyBackend(parse_address(settings.backend), kept)


def _most_connections() -> int:
    """Return how many connections the limit of open files has room for."""
    if sys.platform == "win32":  # knows no such limit
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)


def reserve_port(settings: Settings) -> socket.socket:
    """Return a socket that accepts nothing but keeps the address, so that only workers of ours can listen there.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    first = _bind(settings.host, settings.port)
    # From now on, not before: nobody else may listen where we do, and we would not notice if somebody did.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return first


def _listen(settings: Settings) -> list[socket.socket]:
    if settings.workers > 1:  # their parent has reserved the port
        first = _bind(settings.host, settings.port, shared=True)
    elif sys.platform != "linux":  # elsewhere the sockets would not share what comes
        return [_bind(settings.host, settings.port)]
    else:
        first = reserve_port(settings)
    port = first.getsockname()[1]
    return [first, *(_bind(settings.host, port, shared=True) for _ in range(LISTENERS - 1))]


def _bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what is accepted; without it, small answers wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sys.platform == "linux":  # what it accepts inherits this; elsewhere the system's buffers come on top of ours
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
