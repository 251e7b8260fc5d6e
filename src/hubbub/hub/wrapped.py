"""An app with a hub in front of it, for frameworks that cannot mount one."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.errors import SettingsError
from hubbub.hub.lifecycle import Lifecycle


class Wrapped:
    """An ASGI app: a hub below one path, another app everywhere else.

    Args:
        lifecycle: Starts and stops the hub.
        hub: Serves the requests below `at`.
        app: Serves all others.
        at: The path, such as ``"/realtime"``.

    Raises:
        SettingsError: `at` is not a path, or is "/".
    """

    def __init__(self, lifecycle: Lifecycle, hub: ASGIApp, app: ASGIApp, at: str) -> None:
        if not at.startswith("/") or at.rstrip("/") == "":
            raise SettingsError(f'at must be a path below which the hub is served, such as "/realtime", not {at!r}')
        self._lifecycle = lifecycle
        self._hub = hub
        self._app = app
        self._at = at.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection, or the lifespan of both."""
        raise NotImplementedError
