"""An app with a hub in front of it, for frameworks that cannot mount one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub.errors import HubbubError, SettingsError
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
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        root = scope.get("root_path", "").rstrip("/")
        path: str = scope["path"]
        below = path[len(root) :] if path == root or path.startswith(root + "/") else path
        if below == self._at or below.startswith(self._at + "/"):
            if below == path:  # the server has taken the root path off
                root, raw = "", scope.get("raw_path")
                scope = {**scope, "root_path": self._at, "raw_path": raw}
            else:
                scope = {**scope, "root_path": root + self._at}
            await self._hub(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the app, then the hub; stop the hub, then the app, whose code the hub may call until then."""
        inner = InnerLifespan(self._app, scope)
        await receive()
        try:
            await inner.start()
            try:
                await self._lifecycle.start()
            except BaseException:
                await inner.stop()
                raise
        except (HubbubError, RuntimeError) as error:
            await send({"type": "lifespan.startup.failed", "message": f"hubbub: {error}"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._lifecycle.stop()
        await inner.stop()
        await send({"type": "lifespan.shutdown.complete"})


class InnerLifespan:
    """The lifespan of an app, if it has one: Django, for example, raises an exception for that scope.

    Args:
        app: The app.
        scope: Of its lifespan.
    """

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._app = app
        self.scope = scope
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the app. Raises `RuntimeError` if the app says that it cannot start."""
        self._task = asyncio.create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is None:
            self._task = None
        elif answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(answer.get("message") or "the app could not start")

    async def stop(self) -> None:
        """Stop the app, if it was started."""
        if self._task is not None:
            await self._ask("lifespan.shutdown")
            await self._task

    async def _run(self) -> None:
        with suppress(Exception):  # an app without a lifespan
            await self._app(self.scope, self._to_app.get, self._from_app.put)

    async def _ask(self, kind: str) -> Message | None:
        """Send a message to the app; return the answer, or None if the app has ended without one."""
        assert self._task is not None
        self._to_app.put_nowait({"type": kind})
        answer = asyncio.create_task(self._from_app.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done() or not self._from_app.empty():
            return await answer
        answer.cancel()
        return None
