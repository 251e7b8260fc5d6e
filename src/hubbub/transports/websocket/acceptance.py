"""Whether a WebSocket can be opened now, and what is spoken on it: the same for every way in which it came."""

from __future__ import annotations

from hubbub.dialects.base import Wire
from hubbub.errors import CommandError, ErrorCode
from hubbub.node import Node
from hubbub.transports.refusal import HttpError, server_full
from hubbub.transports.websocket.handshake import Handshake
from hubbub.transports.websocket.routes import ROUTES

LONGEST_WAIT = 5.0
"""Seconds that a new connection may have to wait for admission; one that would wait longer is refused with 503."""


def wire_for(handshake: Handshake, node: Node) -> Wire:
    """Return what is spoken at the path of a handshake.

    Raises:
        CommandError: There is no WebSocket at the path, a token is missing, or the node takes no connections now.
    """
    wire = ROUTES.get(handshake.path)
    if wire is None:
        text = f"There is no WebSocket at this path. Connect to {' or '.join(ROUTES)}."
        raise HttpError(404, ErrorCode.INVALID_REQUEST, text)
    if node.draining:
        raise stopping()
    if node.full:
        raise server_full()
    if node.admission.wait > LONGEST_WAIT:
        raise _unavailable("Too many clients are connecting at the same time. Try again later.")
    needs_token = not (wire.dialect.connects or node.asks_app)
    if handshake.token is None and needs_token and handshake.refused_origin is None:
        text = 'A token is missing. Add it to the address as "?token=…".'
        raise HttpError(401, ErrorCode.UNAUTHORIZED, text)
    return wire


def stopping() -> CommandError:
    """Return the error for a connection to a node that is stopping."""
    return _unavailable("The server is stopping. Try again later.")


def _unavailable(message: str) -> CommandError:
    return CommandError(ErrorCode.UNAVAILABLE, message)
