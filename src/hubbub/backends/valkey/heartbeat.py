"""Heartbeats: a thread with its own connections renews the leases of this node, however busy the event loop is.

A node whose loop is busy for seconds is late, not dead: its connections are open, and it will answer. So the leases are
renewed by a thread that does nothing else. They still depend on the loop: if it has not reached the store for `STALL`
seconds, the heartbeats stop and the other nodes declare this one dead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.resources import files
from threading import Thread

from hubbub.backends.valkey.connection import RefusedError, StoreConnection
from hubbub.backends.valkey.link import HEARTBEAT, Opener
from hubbub.backends.valkey.silence import time_limit
from hubbub.errors import CommandError

STALL = 30.0
"""Seconds for which the heartbeats continue although the node's loop does not reach the store."""

_SCRIPT = files("hubbub.backends.valkey.scripts").joinpath("heartbeat.lua").read_bytes()


class Lease:
    """The lease of this node in one shard. The node's loop writes it, the thread reads it.

    Args:
        shard: The prefix of all keys of the shard.
        open_connection: Opens a connection to the server that holds the shard. Called in the thread.
        shared: Whether other shards use the same connections.
    """

    def __init__(self, shard: str, open_connection: Opener, *, shared: bool) -> None:
        self.shard = shard
        self._open_connection = open_connection
        self._shared = shared
        self._incarnation = ""
        self._until = 0.0
        self._connection: StoreConnection | None = None

    def extend(self, incarnation: str) -> None:
        """Let the thread renew the lease of `incarnation` for `STALL` seconds, counted from the latest call."""
        self._incarnation, self._until = incarnation, time.monotonic() + STALL

    def end(self) -> None:
        """Stop the heartbeats."""
        self._until = 0.0

    async def renew(self) -> None:
        """Send one heartbeat, unless the lease has ended. Never raises: the next heartbeat tries again."""
        if time.monotonic() >= self._until:
            return
        try:
            if self._connection is None or self._connection.lost.done():
                self._connection = await self._open_connection()
            async with time_limit():
                await self._connection.call(b"EVAL", _SCRIPT, 1, self.shard, self._incarnation, int(HEARTBEAT * 1000))
        except TimeoutError:
            self._drop_connection(cut=True)
        except (OSError, RefusedError, CommandError):
            self._drop_connection(cut=not self._shared)

    def _drop_connection(self, *, cut: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and cut:
            connection.abort("a heartbeat failed")

    def close(self) -> None:
        """Close the connection."""
        self._drop_connection(cut=True)


class Heartbeats:
    """The thread that renews all leases of this node.

    Args:
        close: Called in the thread when it ends, to close the connections that leases share.
    """

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self.leases: list[Lease] = []
        self._close = close
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the thread, unless it is running."""
        if self._thread is None:
            self._stopped = False
            self._loop = asyncio.SelectorEventLoop()
            self._thread = Thread(target=self._run, args=(self._loop,), name="hubbub-heartbeats", daemon=True)
            self._thread.start()

    async def stop(self) -> None:
        """Stop the thread, without telling the store, and wait until its connections are closed."""
        thread, loop, self._thread = self._thread, self._loop, None
        if thread is None or loop is None:
            return
        self._stopped = True
        with suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(self._cancel_tasks)
        await asyncio.get_running_loop().run_in_executor(None, thread.join)

    def _cancel_tasks(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(self._renew_all())
            loop.run_until_complete(self._release())
        finally:
            loop.close()

    async def _renew_all(self) -> None:
        while not self._stopped:
            await asyncio.gather(*(lease.renew() for lease in self.leases))
            await asyncio.sleep(HEARTBEAT)

    async def _release(self) -> None:
        for lease in self.leases:
            lease.close()
        await self._close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn
        await asyncio.sleep(0)
