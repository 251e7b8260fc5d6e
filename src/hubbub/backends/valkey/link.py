"""The way to the store: kept open, watched, opened again. Whether it can be used now is `Link.ready`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.connection import (
    Argument,
    RefusedError,
    StoreConnection,
    open_connection,
    unavailable,
)
from hubbub.backends.valkey.scripts import Script
from hubbub.errors import CommandError

PATIENCE = 1.5
"""Seconds without a reply after which a connection is given up; commands fail with it, so within 2 s."""

WATCH = 0.1
"""Seconds between two looks at how long the oldest command has waited."""

BEAT = 0.5
"""Seconds between two signs of life."""

_DELAYS = (0.0, 0.05, 0.1, 0.2, 0.5)
"""Seconds before each attempt to connect after one that failed; the last is for all that follow."""

log = logging.getLogger("hubbub.valkey")


class Owner(Protocol):
    """Whose link it is."""

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take a message."""
        ...

    async def revive(self) -> None:
        """Make the store agree with this node. Called for each new connection, before anybody else may use it."""
        ...

    async def beat(self) -> None:
        """Tell the store that this node lives. Called every `BEAT` seconds."""
        ...


class Link:
    """A connection to the store that comes back.

    Args:
        address: Where the store is.
        bucket: The prefix of all keys.
        scripts: What `run` can run.
        owner: Who is told.

    Attributes:
        ready: Whether the store answers and agrees with this node.
        opened: How many connections were opened so far.
    """

    def __init__(self, address: Address, bucket: str, scripts: dict[str, Script], owner: Owner) -> None:
        self.ready = False
        self.opened = 0
        self._address = address
        self._bucket = bucket
        self._scripts = scripts
        self._owner = owner
        self._connection: StoreConnection | None = None
        self._reason = "not connected yet"
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, and keep connected from then on. Raises `CommandError` ``UNAVAILABLE`` if that fails at first."""
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(started))
        await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Disconnect for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self.ready = False

    async def run(self, script: str, *arguments: Argument) -> Any:
        """Run a script in the bucket and return its reply. Raises `CommandError` ``UNAVAILABLE``."""
        return await self.command(b"EVALSHA", self._scripts[script].digest, 1, self._bucket, *arguments)

    async def command(self, *arguments: Argument) -> Any:
        """Send any command and return its reply. Raises `CommandError` ``UNAVAILABLE``."""
        connection = self._connection
        if connection is None:
            raise unavailable(self._reason)
        try:
            return await connection.call(*arguments)
        except RefusedError as error:
            if not str(error).startswith("OOM"):  # then it is full, and nothing else is wrong
                connection.abort(str(error))
            raise unavailable(str(error)) from None

    def require_ready(self) -> None:
        """Refuse what users ask while the store and this node may disagree. Raises `CommandError` ``UNAVAILABLE``."""
        if not self.ready:
            raise unavailable(self._reason)

    def subscribe(self, channel: bytes) -> None:
        """Hear a channel from now on. Without a connection nothing happens: `Owner.revive` does it."""
        if self._connection is not None:
            self._connection.subscribe(channel)

    def unsubscribe(self, channel: bytes) -> None:
        """Hear a channel no more."""
        if self._connection is not None:
            self._connection.unsubscribe(channel)

    # --- the life of connections ---

    async def _run(self, started: asyncio.Future[None]) -> None:
        failures = 0
        while True:
            try:
                await self._open()
                await self._use(started)
            except (OSError, RefusedError, CommandError) as error:
                self._reason = error.message if isinstance(error, CommandError) else str(error) or "no answer in time"
            except Exception:
                self._reason = "an error of our own"
                log.exception("the connection to the store failed")
            if not self.opened:
                raise unavailable(f"{self._address}: {self._reason}")
            failures = 0 if self.ready else failures + 1
            if self.ready:
                log.warning("the store at %s is away: %s", self._address, self._reason)
            self.ready = False
            await asyncio.sleep(_DELAYS[min(failures, len(_DELAYS) - 1)])

    async def _open(self) -> None:
        async with asyncio.timeout(PATIENCE):
            connection = await open_connection(self._address, self._owner.hear)
            try:
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
        watch = asyncio.create_task(self._watch(connection))
        try:
            await self._owner.revive()
            self.ready = True
            self.opened += 1
            log.info("connected to the store at %s", self._address)
            if not started.done():
                started.set_result(None)
            while not connection.lost.done():
                await self._owner.beat()
                await asyncio.wait({connection.lost}, timeout=BEAT)
            self._reason = connection.lost.result()
        finally:
            watch.cancel()
            self._connection = None
            connection.abort("it is not used any more")

    async def _watch(self, connection: StoreConnection) -> None:
        """Give the connection up when a reply is overdue."""
        loop = asyncio.get_running_loop()
        while not connection.lost.done():
            since = connection.waits_since()
            if since is not None and loop.time() - since > PATIENCE:
                connection.abort(f"no answer for {PATIENCE:g} s")
            await asyncio.sleep(WATCH)
