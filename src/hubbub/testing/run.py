"""Starts and ends a hub under test, alone or with the lifespan of its app, on the virtual clock of its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import ASGIApp

from hubbub.backends.memory import MemoryBackend
from hubbub.errors import HubError
from hubbub.hub.hub import Hub
from hubbub.hub.lifecycle import State
from hubbub.hub.wrapped import InnerLifespan
from hubbub.node import Node
from hubbub.testing.virtual_time import VirtualTime, virtual_time


class Running(NamedTuple):
    """A hub that runs, and its clock."""

    node: Node
    clock: VirtualTime

    def check(self) -> None:
        """Do at once what timers do up to a second later: end tokens, drop old messages, end absences."""
        self.node.check_deadlines(self.clock.monotonic())
        if isinstance(self.node.backend, MemoryBackend):
            self.node.backend.sweep()


class Run:
    """One run of a hub, from the beginning of a test to its end.

    Args:
        hub: The hub.
        app: The app in which it is mounted, if its lifespan is to run; None to start the hub alone.
    """

    def __init__(self, hub: Hub, app: ASGIApp | None) -> None:
        self._lifecycle = hub._lifecycle
        self._clock: VirtualTime | None = None
        self._begun = self._ended = False
        self._starting: asyncio.Task[None] | None = None
        self._lifespan = None if app is None else InnerLifespan(app, {"type": "lifespan", "state": {}})

    @property
    def state(self) -> Mapping[str, Any]:
        """What the lifespan of the app has left for its requests."""
        return {} if self._lifespan is None else self._lifespan.scope["state"]

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop in which the hub runs; None while it does not."""
        return self._lifecycle.loop

    def begin(self) -> None:
        """Let the hub run on a virtual clock from its next start on.

        Raises:
            HubError: It runs already, is tested already, or this run has begun before.
        """
        if self._begun:
            raise HubError("This test hub was used before: make another one.")
        if self._lifecycle.before_start:
            raise HubError("This hub is tested already: use the TestHub that tests it, or end that one first.")
        if self._lifecycle.state is not State.NEW and self._lifecycle.state is not State.STOPPED:
            raise HubError(
                "This hub runs already, on the clock of the system: begin the test hub before the app starts."
            )
        self._begun = True
        self._lifecycle.before_start.append(self._use_clock)

    async def running(self) -> Running:
        """Return the hub; the first use starts it, unless the app has.

        Raises:
            HubError: The test hub has not begun or has ended, or the hub was stopped or runs in another event loop.
            SettingsError: The hub cannot start.
        """
        if not self._begun or self._ended:
            raise HubError(_ENDED if self._ended else _NOT_BEGUN)
        if self._starting is None and self._lifecycle.state in {State.NEW, State.STOPPED} and self._clock is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())
        if self._starting is not None:
            await asyncio.shield(self._starting)
        node = await self._lifecycle.node()
        assert self._clock is not None
        return Running(node, self._clock)

    async def end(self) -> None:
        """Stop the hub, if it runs, and the app, if it was started here. Calling it again changes nothing."""
        if self._ended:
            return
        self.forget()
        if self._clock is not None:
            self._clock.work.hooks.remove(self._running_hooks)
            if self._lifecycle.loop is not None:
                with self._clock.jumping():
                    await self._stop()
                await self._clock.settle()

    def forget(self) -> None:
        """Let the hub run on the clock of the system when it starts again."""
        self._ended = True
        if self._use_clock in self._lifecycle.before_start:
            self._lifecycle.before_start.remove(self._use_clock)

    def _use_clock(self) -> None:
        self._clock = virtual_time()
        self._clock.work.hooks.append(self._running_hooks)

    def _running_hooks(self) -> int:
        return self._lifecycle.running_hooks

    async def _start(self) -> None:
        clock = virtual_time()
        with clock.jumping():
            if self._lifespan is not None:
                await self._lifespan.start()
            await self._lifecycle.start()

    async def _stop(self) -> None:
        if self._starting is not None and self._lifespan is not None:
            await self._lifespan.stop()
        await self._lifecycle.stop()


_NOT_BEGUN = 'This test hub has not begun: write "async with TestHub() as hub:", or take the fixture "hub".'
_ENDED = "This test hub has ended: use it inside its block, or in the test that takes the fixture."
