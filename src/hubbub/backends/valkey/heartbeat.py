"""Heartbeats: a thread with connections of its own renews the leases of this node; they wait for no work of clients.

A node whose loop is busy for seconds is late, not dead: its connections are open, and it will answer. So what keeps its
leases is not the loop, but a thread that does nothing else. The lease is still bound to the loop: if that has not
reached the store for `STALL` seconds, the heartbeats stop and the other nodes declare this one dead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.resources import files
from threading import Thread

from hubbub.backends.valkey.connection import RefusedError, StoreConnection
from hubbub.backends.valkey.link import BEAT, PATIENCE, Opener
from hubbub.errors import CommandError

STALL = 30.0
"""Seconds for which the heartbeats go on though the node's own loop has not reached the store."""

_SCRIPT = files("hubbub.backends.valkey.scripts").joinpath("heartbeat.lua").read_bytes()


class Lease:
    """The lease of this node in one shard. The node's loop writes it, the thread reads it.

    Args:
        shard: The prefix of all keys of the shard.
        open_connection: Opens a connection to the server that has the shard. Called in the thread.
        shared: Whether other shards use the connections as well.
    """

    def __init__(self, shard: str, open_connection: Opener, *, shared: bool) -> None:
        self.shard = shard
        self._open_connection = open_connection
        self._shared = shared
        self._incarnation = ""
        self._until = 0.0
        self._connection: StoreConnection | None = None

    def extend(self, incarnation: str) -> None:
        """Let the thread renew the lease of `incarnation` for `STALL` seconds from now on, unless this is called again."""
        self._incarnation, self._until = incarnation, time.monotonic() + STALL

    def end(self) -> None:
        """Let the thread send no more heartbeats."""
        self._until = 0.0

    async def renew(self) -> None:
        """Send one heartbeat, if the lease is to be kept. Never raises: the next heartbeat is a new attempt."""
        if time.monotonic() >= self._until:
            return
        try:
            if self._connection is None or self._connection.lost.done():
                self._connection = await self._open_connection()
            async with asyncio.timeout(PATIENCE):
                await self._connection.call(b"EVAL", _SCRIPT, 1, self.shard, self._incarnation, int(BEAT * 1000))
        except TimeoutError:
            self._give_up(cut=True)
        except (OSError, RefusedError, CommandError):
            self._give_up(cut=not self._shared)

    def _give_up(self, *, cut: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and cut:
            connection.abort("a heartbeat failed")

    def close(self) -> None:
        """Cut the connection."""
        self._give_up(cut=True)


class Heartbeats:
    """The thread that keeps all leases of this node.

    Args:
        close: Called in the thread at its end, to release what the leases' connections share.
    """

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self.leases: list[Lease] = []
        self._close = close
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the thread, if it does not run."""
        if self._thread is None:
            self._stopped = False
            self._loop = asyncio.SelectorEventLoop()
            self._thread = Thread(target=self._run, args=(self._loop,), name="hubbub-heartbeats", daemon=True)
            self._thread.start()

    async def stop(self) -> None:
        """Stop the thread, without a goodbye to the store, and wait until its connections are closed."""
        thread, loop, self._thread = self._thread, self._loop, None
        if thread is None or loop is None:
            return
        self._stopped = True
        with suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(self._wake)
        await asyncio.get_running_loop().run_in_executor(None, thread.join)

    def _wake(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(self._beat())
            loop.run_until_complete(self._release())
        finally:
            loop.close()

    async def _beat(self) -> None:
        while not self._stopped:
            await asyncio.gather(*(lease.renew() for lease in self.leases))
            await asyncio.sleep(BEAT)

    async def _release(self) -> None:
        for lease in self.leases:
            lease.close()
        await self._close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn
        await asyncio.sleep(0)
