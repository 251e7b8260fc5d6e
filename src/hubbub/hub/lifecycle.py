"""When a hub runs: started by the app's lifespan or by its first use, in one event loop, and stopped once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

from hubbub.errors import CommandError, HubError, SettingsError, StoreError
from hubbub.node import Node


class State(Enum):
    """What a hub is doing."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Lifecycle:
    """Starts and stops the node of one hub.

    A hub that was stopped can be started again by a lifespan, as test suites do with one app; its first use does not
    start it again, since that would hide a use that comes too late.

    Args:
        make: Makes the node, in the running event loop. Raises `SettingsError` for a hub that must not start.

    Attributes:
        state: What the hub is doing.
        before_start: Called in the running event loop before the node is made.
    """

    def __init__(self, make: Callable[[], Node]) -> None:
        self._make = make
        self.state = State.NEW
        self.before_start: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._node: Node | None = None
        self._starting: asyncio.Task[Node] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop in which the node runs; None while there is none."""
        return self._loop

    @property
    def running_hooks(self) -> int:
        """How many hooks run at present."""
        return 0 if self._node is None or self._node.hooks is None else self._node.hooks.running

    async def start(self) -> Node:
        """Start the node, or return it if it runs already.

        Raises:
            HubError: It runs in another event loop, or is being stopped.
            SettingsError: The hub has no way to tell who connects, or the store cannot be reached.
        """
        loop = _running_loop()
        if self.state in {State.NEW, State.STOPPED}:
            self.state, self._loop = State.STARTING, loop
            self._starting = loop.create_task(self._start())
        self._check_loop(loop)
        if self.state is State.STOPPING:
            raise HubError(_ENDED)
        assert self._starting is not None
        return await asyncio.shield(self._starting)

    async def node(self) -> Node:
        """Return the running node; the first use starts it.

        Raises:
            HubError: The hub was stopped, or this is another event loop than the one in which it runs.
            SettingsError: As `start`.
        """
        if self.state in {State.STOPPING, State.STOPPED}:
            raise HubError(_ENDED)
        if self.state is State.RUNNING:
            self._check_loop(_running_loop())
            assert self._node is not None
            return self._node
        return await self.start()

    async def serving_node(self) -> Node:
        """Return the node for a request or a connection: as `node`, but also while the hub is being stopped."""
        if self.state is State.STOPPING and self._node is not None:
            self._check_loop(_running_loop())
            return self._node
        return await self.node()

    def running(self) -> Node:
        """Return the node, which must run already.

        Raises:
            HubError: It does not, or this is another event loop than the one in which it runs.
        """
        if self.state in {State.STOPPING, State.STOPPED}:
            raise HubError(_ENDED)
        if self._node is None or self.state is not State.RUNNING:
            raise HubError(_NOT_STARTED)
        self._check_loop(_running_loop())
        return self._node

    async def stop(self) -> None:
        """Close the connections, spread over time, and release everything. Does nothing if the hub does not run.

        Raises:
            HubError: The hub runs in another event loop.
        """
        if self.state in {State.NEW, State.STOPPED, State.STOPPING}:
            return
        self._check_loop(_running_loop())
        assert self._starting is not None
        node = await asyncio.shield(self._starting)
        self.state = State.STOPPING
        try:
            await node.drain()
            await node.emptied(node.settings.shutdown_timeout)
        finally:
            await node.close()
            self._node = self._starting = self._loop = None
            self.state = State.STOPPED

    async def _start(self) -> Node:
        try:
            for call in self.before_start:
                call()
            node = self._make()
            await node.start()
        except BaseException as error:
            self.state, self._starting, self._loop = State.NEW, None, None
            if isinstance(error, StoreError):
                raise SettingsError(f"backend: cannot use the store: {error.reason}") from None
            if isinstance(error, CommandError):
                raise SettingsError(f"backend: {error.message}") from None
            raise
        self._node, self.state = node, State.RUNNING
        return node

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            assert self._loop is not None
            raise HubError(_LOOP_CLOSED if self._loop.is_closed() else _OTHER_LOOP)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise HubError(_NO_LOOP) from None


_NOT_STARTED = (
    "This hub has not started. Run it with the app: FastAPI(lifespan=hub.lifespan), hub.lifespan(inner) around a "
    "lifespan of your own, or hub.wrap(app)."
)
_ENDED = (
    "This hub was stopped with its app. Use it only while the app's lifespan runs; in tests, inside "
    '"with TestClient(app) as client:".'
)
_OTHER_LOOP = (
    "This hub runs in another event loop. Use it from the loop that runs the app; from a thread, call "
    "anyio.from_thread.run(hub.post, group, message) or asyncio.run_coroutine_threadsafe(hub.post(...), loop)."
)
_LOOP_CLOSED = (
    "The event loop in which this hub was started is closed. Start the hub with the app's lifespan; in tests, write "
    '"with TestClient(app) as client:", which runs everything in one loop.'
)
_NO_LOOP = (
    "A hub can only be used inside an event loop. From a thread, call anyio.from_thread.run(hub.post, group, message) "
    "or asyncio.run_coroutine_threadsafe(hub.post(...), loop)."
)
