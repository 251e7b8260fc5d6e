"""What a mounted hub does with a scope: its HTTP side, or a WebSocket."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from hubbub.hub.lifecycle import Lifecycle


class Entrance:
    """Serves what comes below the path of a hub.

    Args:
        lifecycle: Has the node.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        raise NotImplementedError
