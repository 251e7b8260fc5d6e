"""``Hub``: Hubbub inside a Python app. It is mounted as an ASGI app, and the app's code decides and posts."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.choose import make_backend
from hubbub.clock import running_clock
from hubbub.errors import SettingsError
from hubbub.hub.calls import HookCalls
from hubbub.hub.entrance import Entrance
from hubbub.hub.hub_settings import hub_settings, public_hosts
from hubbub.hub.lifecycle import Lifecycle
from hubbub.hub.lifespan import HubLifespan
from hubbub.hub.operations import Operations
from hubbub.hub.registry import Registry
from hubbub.hub.tiers import check_workers
from hubbub.hub.wrapped import Wrapped
from hubbub.node import Node

_NOBODY = (
    "This hub cannot tell who connects: register a function with @hub.on_connect, set secret (or secret_file) or "
    "jwks_url, or accept everybody who can reach the app with guests=True"
)


_ALL_ORIGINS = (
    'This hub has an on_connect, so a cookie may say who a client is, and with origins=("*",) every page on the web '
    "could use the cookies of its visitors. Name the origins of your pages; pages of the app itself need no origins."
)


class Hub(Registry, Operations):
    """Realtime groups inside a Python app, which decides in hooks who connects, who joins and what is posted.

    ``app.mount("/realtime", hub)`` serves the WebSocket, the HTTP API, the metrics and the browser client below that
    path. ``FastAPI(lifespan=hub.lifespan)`` starts and stops the hub with the app; without it, the first use starts it.

    Args:
        settings: The fields of `hubbub.Settings`, but not ``host``, ``port`` and ``workers``: ``Hub(backend="valkey://…")``.
            ``demo`` and ``guests`` are off unless they are set. ``hook_timeout`` and ``hook_concurrency`` limit hooks.

    Raises:
        SettingsError: A setting is unknown, or its value is not allowed.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = hub_settings(settings)
        self._lifecycle = Lifecycle(self._make_node)
        self._entrance = Entrance(self._lifecycle)

    # --- start and stop ---

    def lifespan(self, app: Any) -> HubLifespan:
        """Start the hub with the app, and stop it with the app.

        Use it as the lifespan of the app, ``FastAPI(lifespan=hub.lifespan)``, or around one's own,
        ``FastAPI(lifespan=hub.lifespan(inner))``. The inner lifespan begins first and ends last, so that hooks can use
        what it opens until the last connection has ended.

        Args:
            app: The app, or a lifespan: a function that takes the app and returns an async context manager.
        """
        return HubLifespan(self._lifecycle, app)

    async def get(self) -> Hub:
        """Return this hub, started: the dependency of endpoints, ``Annotated[Hub, Depends(hub.get)]``.

        Raises:
            HubError: The hub was stopped, or runs in another event loop.
            SettingsError: It cannot start; the text says what to set.
        """
        await self._lifecycle.node()
        return self

    def wrap(self, app: ASGIApp, *, at: str = "/realtime") -> ASGIApp:
        """Return an ASGI app that serves the hub below the path `at`, and `app` everywhere else.

        For frameworks that cannot mount an ASGI app, such as Django. It runs the hub's lifespan, and that of `app` if
        there is one.

        Raises:
            SettingsError: `at` does not begin with a slash, or is "/".
        """
        return Wrapped(self._lifecycle, self, app, at)

    # --- ASGI ---

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection below the path at which the hub is mounted."""
        await self._entrance(scope, receive, send)

    def _make_node(self) -> Node:
        """Return a node in the running event loop. Raises `SettingsError` if nobody could connect."""
        if not self._can_identify():
            raise SettingsError(_NOBODY)
        settings = self.settings
        check_workers(settings.backend)
        if self.hooks("on_connect") and "*" in settings.origins:
            raise SettingsError(_ALL_ORIGINS)
        self.freeze()
        clock = running_clock()
        hooks = HookCalls(self, settings, clock) if self.has_hooks else None
        auth = Authenticator(settings, unix_time=clock.unix_time, clock=clock.monotonic)
        node = Node(settings, make_backend(settings, clock), auth, hooks)
        node.public_hosts = public_hosts(settings)
        return node

    def _can_identify(self) -> bool:
        return bool(self.hooks("on_connect")) or self.settings.has_keys or bool(self.settings.guests)
