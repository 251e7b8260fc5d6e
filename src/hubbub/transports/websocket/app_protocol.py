"""A WebSocket on a server that runs an app: the app is called, and a hub in it takes the connection over.

uvicorn parses the request and makes one such object. The app gets an ordinary scope, so that its middleware and
routing run. A hub takes the connection through the scope (`hubbub.transports.takeover`), and no message passes through
ASGI from then on. As soon as the app uses ``receive`` or ``send`` instead, uvicorn's own class gets the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, cast
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from hubbub.errors import CommandError
from hubbub.transports.refusal import refusal
from hubbub.transports.reset import reset
from hubbub.transports.takeover import EXTENSION, Taken
from hubbub.transports.websocket.acceptance import stopping
from hubbub.transports.websocket.handshake import check_upgrade, read_head

MAX_EARLY_BYTES = 8192
"""Most bytes of frames that a client may send before the app has decided who serves it."""

_LOG = logging.getLogger("uvicorn.error")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class AppWebSockets(asyncio.Protocol):
    """One WebSocket, until a hub or uvicorn's own class has it.

    Args:
        config: uvicorn's; has the app.
        server_state: Where uvicorn looks for the connections and tasks that it has to end.
        app_state: The state of the app's lifespan.
    """

    tier: ClassVar[int] = 2

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, None)
        self._request = b""
        self._early = b""
        self._over = False  # somebody else has the connection, or it is lost
        self._taken = False  # by a hub
        self._handed_over = False  # to uvicorn's class
        self._lost = False
        self._connects = True  # the next message for an app whose client is lost
        self._task: asyncio.Task[None] | None = None
        self._channel: asyncio.Future[tuple[Receive, Send]] = self._loop.create_future()
        self._outcome: asyncio.Future[None] | None = None

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from uvicorn's HTTP protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn asks it for shutdown() only

    def data_received(self, data: bytes) -> None:
        """Take the request, then what the client sends behind it."""
        if not self._request:
            self._request = data
            self._call_app()
        elif len(self._early) + len(data) <= MAX_EARLY_BYTES:
            self._early += data
        else:  # no client needs to send more before it knows whether its request is accepted
            reset(self._transport)

    def eof_received(self) -> bool:
        """Let the transport close: the client has closed its side."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember it: the app finds out when it uses the connection."""
        self._lost = True
        self._state.connections.discard(self)

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops."""
        self._refuse(stopping())

    # --- the app ---

    def _call_app(self) -> None:
        method, target, headers = read_head(self._request)
        try:
            check_upgrade(method, dict(headers))
        except CommandError as error:
            self._refuse(error)
            return
        task = self._loop.create_task(self._run(self._scope(target, headers)))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)
        self._task = task

    def _scope(self, target: str, headers: list[tuple[str, str]]) -> dict[str, Any]:
        """Return the scope that uvicorn's own class would make, and the takeover."""
        path, _, query = target.partition("?")
        root = self._config.root_path
        offered = [value.split(",") for name, value in headers if name == "sec-websocket-protocol"]
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": (root + path).encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "subprotocols": [name.strip() for names in offered for name in names],
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, EXTENSION: self},
        }

    async def _run(self, scope: dict[str, Any]) -> None:
        """Call the app. If it has used the connection, uvicorn's class is told how it ended, and deals with it."""
        app = cast(Any, self._config.loaded_app)
        outcome = self._outcome = self._loop.create_future()
        try:
            await app(scope, self._receive, self._send)
            outcome.set_result(None)
        except Exception as error:
            outcome.set_exception(error)
            outcome.exception()  # so that asyncio does not log it as well
            if not self._handed_over and not isinstance(error, ClientDisconnected) and (self._taken or self._lost):
                _LOG.exception("Exception in ASGI application\n")
        finally:
            if not outcome.done():
                outcome.cancel()
            self._hand_over()

    async def _receive(self) -> Any:
        self._hand_over()
        if not self._handed_over:
            connects, self._connects = self._connects, False
            return {"type": "websocket.connect"} if connects else {"type": "websocket.disconnect", "code": 1006}
        receive, _ = self._channel.result() if self._channel.done() else await asyncio.shield(self._channel)
        return await receive()

    async def _send(self, message: Any) -> None:
        self._hand_over()
        if not self._handed_over:
            if self._taken:  # middleware that ends every connection of its own accord
                return
            raise ClientDisconnected
        _, send = self._channel.result() if self._channel.done() else await asyncio.shield(self._channel)
        await send(message)

    # --- who serves the connection ---

    def take(self) -> Taken | None:
        """Give the connection to a hub. See `hubbub.transports.takeover.Takeover`."""
        if self._over or self._lost:
            return None
        self._over = self._taken = True
        self._connects = False
        self._state.connections.discard(self)
        return Taken(self._transport, self._state, self._early)

    def _hand_over(self) -> None:
        """Give the connection to uvicorn's own class; its call of the app is answered by the call that runs already."""
        if self._over or self._lost:
            return
        self._over = self._handed_over = True
        self._state.connections.discard(self)
        theirs = WebSocketsSansIOProtocol(self._config, self._state, self._app_state)
        theirs.app = self._join_call
        tasks = len(self._state.tasks)
        theirs.connection_made(self._transport)
        theirs.data_received(self._request + self._early)
        self._transport.set_protocol(theirs)
        if len(self._state.tasks) == tasks and self._task is not None:  # it has refused the request by itself
            self._task.cancel()

    async def _join_call(self, scope: Any, receive: Any, send: Any) -> None:
        assert self._outcome is not None
        self._channel.set_result((receive, send))
        await asyncio.shield(self._outcome)

    def _refuse(self, error: CommandError) -> None:
        if not self._over:
            self._over = self._lost = True
            self._transport.write(refusal(error))
            self._transport.close()
