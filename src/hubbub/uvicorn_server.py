"""uvicorn's server, which drains our nodes before it stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator

import uvicorn

from hubbub.errors import HubbubError
from hubbub.node import Node


class UvicornServer(uvicorn.Server):
    """uvicorn's server. It reports when it listens, drains nodes before it stops, and can leave signals alone.

    Args:
        config: uvicorn's.
        nodes: Returns the nodes whose connections it has.
        signals: Whether SIGINT and SIGTERM stop it.
    """

    def __init__(self, config: uvicorn.Config, nodes: Callable[[], Iterable[Node]], *, signals: bool) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._stopping = asyncio.Event()
        self._nodes = nodes
        self._signals = signals

    def stop(self) -> None:
        """Begin to stop."""
        for node in self._nodes():
            node.draining = True
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Do what uvicorn does ten times a second, but stop at once when asked to."""
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.1)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Do what uvicorn does, and report that requests are answered.

        Raises:
            HubbubError: The lifespan of the app has failed, which was logged.
        """
        try:
            await super().startup(sockets)
        except SystemExit:  # not for a program that the server is a part of
            raise HubbubError("the app's lifespan has failed; the lines above say why") from None
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the nodes, then do what uvicorn does."""
        # Meanwhile the listener stays open: /readyz answers 503, and new clients are told why they are refused.
        await asyncio.gather(*(node.drain() for node in self._nodes()))
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal, unless the program keeps its own handlers."""
        if not self._signals:
            yield
            return
        with super().capture_signals():
            yield
