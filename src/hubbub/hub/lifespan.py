"""The lifespan of an app with a hub, in the two forms in which frameworks take one."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from starlette.types import Receive, Send

from hubbub.errors import HubbubError
from hubbub.hub.lifecycle import Lifecycle


class HubLifespan:
    """An async context manager that starts and stops a hub; called with an app, it returns one that runs `inner` too.

    ``hub.lifespan`` is called with the app, and what it returns is entered. ``hub.lifespan(inner)`` is called with a
    lifespan, and what it returns is called with the app. Both are told apart by what is done with the result, since an
    app is a function too.

    Args:
        lifecycle: Starts and stops the hub.
        given: The app or the inner lifespan.
    """

    def __init__(self, lifecycle: Lifecycle, given: Any) -> None:
        self._lifecycle = lifecycle
        self._given = given
        self._app: Any = None
        self._called = False
        self._stack = AsyncExitStack()

    def __call__(self, app: Any) -> HubLifespan:
        """Return the context manager for `app`, around the inner lifespan."""
        lifespan = HubLifespan(self._lifecycle, self._given)
        lifespan._app, lifespan._called = app, True
        return lifespan

    async def __aenter__(self) -> Any:
        """Enter the inner lifespan, then start the hub; return what the inner one returns.

        Raises:
            SettingsError: The hub cannot start.
        """
        async with AsyncExitStack() as stack:
            state = await stack.enter_async_context(self._given(self._app)) if self._called else None
            await self._lifecycle.start()
            stack.push_async_callback(self._lifecycle.stop)
            self._stack = stack.pop_all()
        return state

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Stop the hub, then leave the inner lifespan."""
        return await self._stack.__aexit__(kind, error, traceback)


async def run_lifespan(lifecycle: Lifecycle, receive: Receive, send: Send) -> None:
    """Serve the scope ``lifespan`` for a hub that is an app by itself."""
    await receive()
    try:
        await lifecycle.start()
    except HubbubError as error:
        await send({"type": "lifespan.startup.failed", "message": f"hubbub: {error}"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await lifecycle.stop()
    await send({"type": "lifespan.shutdown.complete"})
