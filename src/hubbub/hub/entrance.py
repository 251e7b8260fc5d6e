"""What a mounted hub does with a scope: its HTTP side, a WebSocket that it takes over, or one through ASGI."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.hub.call import Call
from hubbub.hub.lifecycle import Lifecycle
from hubbub.hub.lifespan import run_lifespan
from hubbub.hub.tiers import Tier
from hubbub.node import Node
from hubbub.transports.asgi.messages import Messages
from hubbub.transports.asgi.opening import serve
from hubbub.transports.http.app import create_app
from hubbub.transports.mounted_path import split_path
from hubbub.transports.takeover import Taken, find_takeover
from hubbub.transports.websocket.handshake import Handshake, parse_scope
from hubbub.transports.websocket.protocol import WebSocketProtocol


class Entrance:
    """Serves what comes below the path of a hub.

    Args:
        lifecycle: Has the node; what comes first starts it.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._node: Node | None = None
        self._http: ASGIApp
        self._messages: Messages
        self._tier: Tier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope.

        Raises:
            HubError: The hub was stopped, or this is another event loop than the one in which it runs.
            SettingsError: The hub cannot start.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await run_lifespan(self._lifecycle, receive, send)
            return
        node = await self._lifecycle.serving_node()
        if node is not self._node:
            self._attach(node)
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(node, scope, receive, send)

    def _attach(self, node: Node) -> None:
        self._node, self._http, self._messages, self._tier = node, create_app(node), Messages(), Tier(node)

    async def _websocket(self, node: Node, scope: Scope, receive: Receive, send: Send) -> None:
        takeover = find_takeover(scope)
        taken = None if takeover is None else takeover.take()
        call = Call(node, scope)
        if takeover is not None and taken is not None:
            self._tier.seen(takeover.tier)
            _take_over(node, taken, partial(_handshake, node, scope, upgrade=True), call)
            if node.asks_app:
                await call.over
        else:
            if takeover is None:
                self._tier.seen(3)
            read = partial(_handshake, node, scope, upgrade=False)
            await serve(scope, receive, send, node=node, read=read, caller=call, messages=self._messages)


def _take_over(node: Node, taken: Taken, read: Any, call: Call) -> None:
    """Go on with our own protocol on the socket."""
    protocol = WebSocketProtocol(node, None, taken.state, None, call)
    taken.transport.set_protocol(protocol)
    protocol.connection_made(taken.transport)
    protocol.open(read, taken.early)


def _handshake(node: Node, scope: Scope, *, upgrade: bool) -> Handshake:
    settings = node.settings
    handshake = parse_scope(
        scope,
        split_path(scope)[1],
        settings.origins,
        local_only=settings.allow_guests,
        local_pages=node.local_pages,
        hosts=node.public_hosts,
        upgrade=upgrade,
    )
    return handshake if node.takes_handshake_tokens else handshake._replace(token=None)
