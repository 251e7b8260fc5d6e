"""How a hub takes a WebSocket over from the server that has called the app: through the scope."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from uvicorn.server import ServerState

EXTENSION = "hubbub.takeover"
"""The key of the `Takeover` in ``scope["extensions"]``."""


class Taken(NamedTuple):
    """A connection that the app's server has given up."""

    transport: asyncio.Transport
    state: ServerState
    """Where the server looks for connections that it has to end; the connection must be in it until it is lost."""
    early: bytes
    """What the client has sent behind its request."""


class Takeover(Protocol):
    """A WebSocket whose request was received and is not answered."""

    tier: int
    """1, on our own server; 2, on uvicorn."""

    def take(self) -> Taken | None:
        """Return the connection, which is then the caller's; None if that is too late: lost, or served by the server.

        The caller sets the protocol of the transport at once.
        """
        ...


def find_takeover(scope: Mapping[str, Any]) -> Takeover | None:
    """Return how the connection of a scope can be taken over; None on a server that cannot."""
    found: Takeover | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found
