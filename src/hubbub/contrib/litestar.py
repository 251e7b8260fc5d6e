"""Hubbub inside a Litestar app: ``Litestar(plugins=[HubPlugin(hub, path="/realtime")])``."""

from __future__ import annotations

from urllib.parse import unquote

from litestar import asgi
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.plugins import InitPluginProtocol
from litestar.types import Receive, Scope, Send

from hubbub.errors import SettingsError
from hubbub.hub.hub import Hub


class HubPlugin(InitPluginProtocol):
    """Mounts a hub, starts and stops it with the app, and offers it to handlers as the dependency ``hub``.

    Args:
        hub: The hub.
        path: Where it is served.

    Raises:
        SettingsError: `path` does not begin with a slash, or is "/".
    """

    def __init__(self, hub: Hub, path: str = "/realtime") -> None:
        if not path.startswith("/") or not path.rstrip("/"):
            raise SettingsError(f'path must be where the hub is served, such as "/realtime", not {path!r}')
        self._hub = hub
        self._path = path.rstrip("/")

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the hub to the app. Litestar calls this."""
        served, prefix = self._hub, self._path

        @asgi(self._path, is_mount=True, copy_scope=True)
        async def realtime(scope: Scope, receive: Receive, send: Send) -> None:
            # Litestar takes the path of a mount off, adds a slash, and does not say so in "root_path".
            path = unquote(scope["raw_path"].decode("latin-1"))
            below = {**scope, "root_path": scope.get("root_path", "") + prefix, "path": path}
            await served(below, receive, send)  # type: ignore[arg-type]  # Litestar has types of its own for ASGI

        app_config.route_handlers.append(realtime)
        app_config.lifespan.append(served.lifespan)
        app_config.dependencies.setdefault("hub", Provide(served.get))
        return app_config
