"""From the upgrade request of one connection to its answer: checked, admitted, authenticated, opened or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from hubbub.auth.identity import Identity
from hubbub.dialects.base import Wire
from hubbub.errors import CommandError, ErrorCode
from hubbub.hooks import AppSide
from hubbub.node import Node
from hubbub.refused_origins import refusal_reason
from hubbub.transports.refusal import refusal
from hubbub.transports.reset import reset
from hubbub.transports.websocket.acceptance import stopping, wire_for
from hubbub.transports.websocket.handshake import Handshake, parse, response
from hubbub.transports.websocket.refused_page import RefusedPage
from hubbub.transports.websocket.request_scope import handshake_connection

MAX_EARLY_BYTES = 8192
"""Most bytes of frames that a connection may send before its request is answered: thousands may wait for admission."""

Opened: TypeAlias = Callable[[Wire, Identity | None, bytes, AppSide | None], None]
"""Called when the connection is open: with what is spoken on it, who the token identified if there was one, the frames
that have already come, and what the app knows of the connection if there is an app."""


class Opening:
    """A connection that is not open yet.

    Args:
        transport: The connection.
        node: Admits and authenticates it.
        opened: Called once, right after the 101 answer was written; never if the request is refused.
    """

    __slots__ = ("_app", "_early", "_node", "_opened", "_refused_page", "_requested", "_transport")

    def __init__(self, transport: asyncio.Transport, node: Node, opened: Opened) -> None:
        self._transport = transport
        self._node = node
        self._opened = opened
        self._requested = False
        self._early = b""
        self._app: AppSide | None = None
        self._refused_page: RefusedPage | None = None

    def receive(self, data: bytes) -> None:
        """Take the request, and keep the frames that come right behind it until it is answered."""
        if not self._requested:
            self.begin(partial(self._parse, data))
        elif self._refused_page is not None:
            self._refused_page.receive(data)
        elif len(self._early) + len(data) <= MAX_EARLY_BYTES:
            self._early += data
        else:  # no client needs to send more before it knows whether its request is accepted
            reset(self._transport)

    def _parse(self, request: bytes) -> Handshake:
        node, settings = self._node, self._node.settings
        handshake = parse(request, settings.origins, local_only=settings.allow_guests, local_pages=node.local_pages)
        if node.hooks is not None:
            self._app = AppSide(handshake_connection(request, self._transport) if node.asks_app else None)
        return handshake if node.takes_handshake_tokens else handshake._replace(token=None)

    def begin(self, read: Callable[[], Handshake]) -> None:
        """Answer the request that `read` returns, now or when the connection is admitted.

        Args:
            read: Checks the request. Raises `CommandError` if it must be refused.
        """
        self._requested = True
        self._upgrade(read)

    def lost(self) -> None:
        """The connection is lost before it was open."""
        if self._refused_page is not None:
            self._refused_page.lost()

    def _upgrade(self, read: Callable[[], Handshake]) -> None:
        try:
            handshake = read()
            wire = wire_for(handshake, self._node)
        except CommandError as error:
            self._refuse(error)
            return
        if handshake.refused_origin is not None:
            self._refuse_page(handshake, wire, handshake.refused_origin)
        elif not self._node.admission.enter(partial(self._admit, handshake, wire)):
            self._transport.pause_reading()  # until the connection is admitted

    def _admit(self, handshake: Handshake, wire: Wire) -> None:
        """Answer the request. While it waited for admission, the client may have left or the server begun to stop."""
        if self._transport.is_closing():
            return
        auth = self._node.auth
        try:
            if self._node.draining:
                raise stopping()
            if handshake.token is not None and auth.waits:
                self._transport.pause_reading()
                self._node.spawn(self._authenticate(handshake, wire))
                return
            self._open(handshake, wire, None if handshake.token is None else auth.check(handshake.token))
        except CommandError as error:
            self._refuse(error)

    async def _authenticate(self, handshake: Handshake, wire: Wire) -> None:
        assert handshake.token is not None
        try:
            identity = await self._node.auth.authenticate(handshake.token)
            if self._node.draining:
                raise stopping()
        except CommandError as error:
            self._refuse(error)
            return
        if not self._transport.is_closing():
            self._open(handshake, wire, identity)

    def _open(self, handshake: Handshake, wire: Wire, identity: Identity | None) -> None:
        if not self._transport.is_reading():
            self._transport.resume_reading()  # before `_opened`, which may have reasons to pause it again
        self._transport.write(response(handshake, wire.dialect.subprotocol))
        self._opened(wire, identity, self._early, self._app)

    def _refuse_page(self, handshake: Handshake, wire: Wire, origin: str) -> None:
        node = self._node
        node.counters.refused[ErrorCode.FORBIDDEN] += 1
        node.log_refused_origin(origin)
        node.refused_pages += 1
        self._refused_page = RefusedPage(
            self._transport,
            response(handshake, wire.dialect.subprotocol),
            refusal_reason(origin),
            node.loop,
            node.refused_page_ended,
        )

    def _refuse(self, error: CommandError) -> None:
        self._node.counters.refused[error.code] += 1
        self._transport.write(refusal(error))
        self._transport.close()
