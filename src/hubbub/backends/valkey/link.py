"""The connection to one shard: opened, watched, reopened when it is lost. `Link.ready` says if it can be used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from hubbub.backends.valkey.connection import (
    Argument,
    Done,
    RefusedError,
    StoreConnection,
    WrongTypeError,
    reason_of,
)
from hubbub.backends.valkey.scripts import Script
from hubbub.backends.valkey.silence import PATIENCE, WATCH, Looks, time_limit
from hubbub.errors import CommandError, StoreError

HEARTBEAT = 0.5
"""Seconds between two heartbeats."""

_DELAYS = (0.0, 0.05, 0.1, 0.2, 0.5)
"""Seconds before each attempt to reconnect; the last value is used for all further attempts."""

CLUSTER_ERRORS = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")
"""Errors of a cluster's server that cannot serve this slot now, though it may serve others."""

Opener = Callable[[], Coroutine[Any, Any, StoreConnection]]
"""Opens a connection to the server that holds a shard now."""

log = logging.getLogger("hubbub.valkey")


class Owner(Protocol):
    """What uses a link: it is called for each new connection and for heartbeats."""

    async def register(self) -> None:
        """Correct the shard from what this node knows. Called for each new connection, before any other use of it."""
        ...

    def suspect(self, arguments: tuple[Argument, ...]) -> None:
        """Note that a command, with these arguments, has met a key of the wrong type."""
        ...

    async def heartbeat(self) -> None:
        """Tell the shard that this node is alive. Called every `HEARTBEAT` seconds."""
        ...


class Link:
    """The connection to the server that holds a shard; it is reopened when it is lost.

    Args:
        open_connection: Opens a connection to that server. Several links may be given the same connection.
        prefix: What all keys of the shard begin with.
        scripts: The scripts that `run` can run.
        shared: Whether other links use the same connections, which then stay open when this link needs them no longer.

    Attributes:
        ready: Whether the shard answers and has been corrected.
        opened: How many connections were opened so far.
    """

    def __init__(
        self,
        open_connection: Opener,
        prefix: str,
        scripts: dict[str, Script],
        *,
        shared: bool = False,
    ) -> None:
        self.ready = False
        self.opened = 0
        self._open_connection = open_connection
        self._prefix = prefix
        self._scripts = scripts
        self._owner: Owner
        self._connection: StoreConnection | None = None
        self._shared = shared
        self._left: asyncio.Future[str] | None = None  # done when the connection cannot be used any more
        self._reason = "not connected yet"
        self._task: asyncio.Task[None] | None = None

    async def start(self, owner: Owner) -> None:
        """Connect, and reconnect from then on. Raises `CommandError` ``UNAVAILABLE`` if the first attempt fails."""
        self._owner = owner
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(started))
        await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Disconnect and do not reconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self.ready = False

    async def run(self, script: str, *arguments: Argument) -> Any:
        """Run a script in the shard and return its reply. Raises `CommandError` ``UNAVAILABLE``."""
        return await self.command(b"EVALSHA", self._scripts[script].digest, 1, self._prefix, *arguments)

    async def command(self, *arguments: Argument) -> Any:
        """Send any command and return its reply. Raises `CommandError` ``UNAVAILABLE``."""
        connection = self._connection
        if connection is None:
            raise StoreError(self._reason)
        try:
            return await connection.call(*arguments)
        except RefusedError as error:
            raise self._failure(connection, arguments, str(error)) from None

    async def run_tracked(self, script: str, *arguments: Argument) -> Any:
        """Do what `run` does; the receiver of the connection is told when a key is changed that the script has read."""
        connection = self._connection
        if connection is None:
            raise StoreError(self._reason)
        command = (b"EVALSHA", self._scripts[script].digest, 1, self._prefix, *arguments)
        try:
            return await connection.call_tracked(*command)
        except RefusedError as error:
            raise self._failure(connection, command, str(error)) from None

    @property
    def tracks(self) -> bool:
        """Whether the store says which keys are changed, as far as is known."""
        return self._connection is None or self._connection.tracks is not False

    def run_soon(self, done: Done, script: str, *arguments: Argument) -> None:
        """Run a script in the shard, and call `done` once, later, with its reply or the `CommandError` in its place.

        Raises `CommandError` ``UNAVAILABLE`` at once if there is no connection, or if too much waits for it.
        """
        connection = self._connection
        if connection is None:
            raise StoreError(self._reason)
        command = (b"EVALSHA", self._scripts[script].digest, 1, self._prefix, *arguments)
        connection.call_soon(partial(self._finish, connection, command, done), *command)

    def require_room(self) -> None:
        """Raise `CommandError` ``UNAVAILABLE`` if there is no connection, or too much waits for it."""
        if self._connection is None:
            raise StoreError(self._reason)
        self._connection.require_room()

    def _finish(self, connection: StoreConnection, command: tuple[Argument, ...], done: Done, reply: Any) -> None:
        done(self._failure(connection, command, str(reply)) if isinstance(reply, RefusedError) else reply)

    def fail(self, arguments: tuple[Argument, ...], text: str) -> CommandError:
        """Do what an error of the store demands, and return the error for the client.

        `arguments` are names that the failed part of a command has used, `text` is the store's error.
        """
        return self._failure(self._connection, arguments, text)

    def _failure(self, connection: StoreConnection | None, arguments: tuple[Argument, ...], text: str) -> CommandError:
        if text.startswith("WRONGTYPE"):  # one key is wrong; the connection is in order
            self._owner.suspect(arguments)
            return WrongTypeError()
        if text.startswith(CLUSTER_ERRORS):
            self._leave(text)
        elif text.startswith("OOM"):  # a full store is no reason to reconnect
            log.warning("the store is full: %s", text)
            return StoreError(text, "The store is full (OOM): nothing can be added to it now.")
        elif connection is not None:
            connection.abort(text)
        return StoreError(text)

    def reset(self, reason: str) -> None:
        """Reconnect, because the shard may have to be corrected."""
        if self._connection is not None:
            self._connection.abort(reason)

    def require_ready(self) -> None:
        """Raise `CommandError` ``UNAVAILABLE`` while the shard does not answer or has not been corrected."""
        if not self.ready:
            raise StoreError(self._reason)

    def subscribe(self, channel: bytes) -> None:
        """Receive a channel from now on. Without a connection nothing happens: `Owner.register` subscribes again."""
        if self._connection is not None:
            self._connection.subscribe(channel)

    def unsubscribe(self, channel: bytes) -> None:
        """Stop receiving a channel."""
        if self._connection is not None:
            self._connection.unsubscribe(channel)

    # --- opening, watching, reopening ---

    async def _run(self, started: asyncio.Future[None]) -> None:
        failures = 0
        while True:
            try:
                await self._open()
                await self._use(started)
            except (OSError, RefusedError, CommandError) as error:
                self._reason = reason_of(error)
            except Exception:
                self._reason = "an internal error"
                log.exception("the connection to the store failed")
            if not self.opened:
                raise StoreError(self._reason)
            failures = 0 if self.ready else failures + 1
            if failures == 1:
                log.warning("cannot reconnect to the store (%s) yet: %s", self._prefix, self._reason)
            if self.ready:
                log.warning("lost the connection to the store (%s): %s", self._prefix, self._reason)
            self.ready = False
            await asyncio.sleep(_DELAYS[min(failures, len(_DELAYS) - 1)])

    async def _open(self) -> None:
        connection = await self._open_connection()
        try:
            async with time_limit():
                await asyncio.gather(
                    *(connection.call(b"SCRIPT", b"LOAD", script.source) for script in self._scripts.values())
                )
        except BaseException:
            connection.abort("its scripts could not be loaded")
            raise
        self._connection = connection

    async def _use(self, started: asyncio.Future[None]) -> None:
        """Use the new connection until it is lost."""
        connection = self._connection
        assert connection is not None
        left = self._left = asyncio.get_running_loop().create_future()
        connection.lost.add_done_callback(partial(_pass_on, left))
        watch = asyncio.create_task(self._watch(connection))
        try:
            await self._owner.register()
            self.ready = True
            self.opened += 1
            log.info("connected to the store (%s)", self._prefix)
            if not started.done():
                started.set_result(None)
            while not left.done():
                await self._owner.heartbeat()
                await asyncio.wait({left}, timeout=HEARTBEAT)
            self._reason = left.result()
        finally:
            watch.cancel()
            self._connection = None
            if not self._shared:
                connection.abort("it is not used any more")

    def _leave(self, reason: str) -> None:
        """Reconnect, perhaps to another server. Every command before the refused one has had its reply."""
        if self._left is not None and not self._left.done():
            self._left.set_result(reason)

    async def _watch(self, connection: StoreConnection) -> None:
        """Close the connection when a reply is overdue."""
        loop, looks = asyncio.get_running_loop(), Looks()
        oldest, waited = None, 0.0
        while not connection.lost.done():
            elapsed, since = looks.look(), connection.waits_since()
            if since is None:
                waited = 0.0
            elif since != oldest:
                waited = min(loop.time() - since, elapsed)
            else:
                waited += elapsed
            oldest = since
            if waited > PATIENCE:
                connection.abort(f"no answer for {PATIENCE:g} s")
            await asyncio.sleep(WATCH)


def _pass_on(left: asyncio.Future[str], lost: asyncio.Future[str]) -> None:
    if not left.done():
        left.set_result(lost.result())
