"""An app's call that has brought a connection to a hub: it lasts until the app has said who the client is.

Middleware may close what it has opened, such as a database session, when the call returns. So the call lasts while
``on_connect`` may still need it, and no longer: thousands of calls that wait would take more memory than their
connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import HTTPConnection

from hubbub.hooks import AppSide
from hubbub.node import Node
from hubbub.session import Session


class Call:
    """One call. Implements `hubbub.transports.base.Caller`.

    Args:
        node: What the connection belongs to.
        scope: Of the call.

    Attributes:
        over: Is done when the call may return.
    """

    __slots__ = ("_node", "_scope", "over")

    def __init__(self, node: Node, scope: Any) -> None:
        self._node = node
        self._scope = scope
        self.over: asyncio.Future[None] = node.loop.create_future()

    def begun(self, session: Session) -> None:
        """Give the session what ``on_connect`` needs."""
        scope, self._scope = self._scope, None
        if self._node.hooks is None or not self._node.asks_app:
            self.ended()
        if self._node.hooks is not None:
            session.app = _HeldHandshake(HTTPConnection(scope) if self._node.asks_app else None, self)

    def ended(self) -> None:
        """Let the call return: the app has answered, or the connection is lost."""
        self._scope = None
        if not self.over.done():
            self.over.set_result(None)


class _HeldHandshake(AppSide):
    """What the app knows of a connection, with a handshake that ends the call when it is no longer needed."""

    __slots__ = ("_call", "_handshake")

    def __init__(self, handshake: HTTPConnection | None, call: Call) -> None:
        self._call = call
        super().__init__(handshake)

    @property
    def handshake(self) -> object | None:
        """The opening handshake, as long as ``on_connect`` may need it."""
        return self._handshake

    @handshake.setter
    def handshake(self, handshake: object | None) -> None:
        self._handshake = handshake
        if handshake is None:
            self._call.ended()
