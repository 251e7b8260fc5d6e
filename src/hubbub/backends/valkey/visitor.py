"""A shard as a program sees it that is no node: it has no connections, so it registers nothing and sends no heartbeats.

Everything that such a program does depends on how much the nodes keep. They register that in the store, and the scripts
that run here refuse to run once it has changed. So the program cannot disagree with the nodes, even for one message.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hubbub.backends.valkey.connection import Argument, RefusedError, StoreConnection, reason_of
from hubbub.backends.valkey.link import CLUSTER_ERRORS, Opener
from hubbub.backends.valkey.schema_version import require_shared
from hubbub.backends.valkey.scripts import CHANGED, Script, load_scripts
from hubbub.backends.valkey.silence import PATIENCE, time_limit
from hubbub.errors import CommandError, ErrorCode, StoreError
from hubbub.groups.history import parse_window

MAX_RUNS = 5
"""Times that a script is run until the settings that it was made for are those in the store."""

_LOGIN_ERRORS = ("WRONGPASS", "NOAUTH", "NOPERM")


class VisitorLink:
    """The connection to the server that holds a shard, opened when it is needed.

    Args:
        open_connection: Opens a connection to that server.
        prefix: What all keys of the shard begin with.
        shared: Whether other links use the same connections.
    """

    def __init__(self, open_connection: Opener, prefix: str, *, shared: bool) -> None:
        self._open_connection = open_connection
        self._prefix = prefix
        self._shared = shared
        self._connection: StoreConnection | None = None
        self._opening = asyncio.Lock()
        self._scripts: dict[str, Script] = {}

    def require_ready(self) -> None:
        """Do nothing: whether the shard answers is known when it is asked."""

    async def run(self, script: str, *arguments: Argument) -> Any:
        """Run a script in the shard and return its reply. Raises `CommandError` ``UNAVAILABLE``."""
        for _ in range(MAX_RUNS):
            if not self._scripts:
                await self._make_scripts()
            made = self._scripts[script]
            rest = (1, self._prefix, *arguments)
            try:
                try:
                    return await self._call(b"EVALSHA", made.digest, *rest)
                except RefusedError as error:
                    if not str(error).startswith("NOSCRIPT"):
                        raise
                    return await self._call(b"EVAL", made.source, *rest)
            except RefusedError as error:
                if not str(error).startswith(CHANGED):
                    raise self._failure(error) from None
                self._scripts = {}
        raise StoreError("the history settings in it keep changing: start all nodes with the same ones")

    async def command(self, *arguments: Argument) -> Any:
        """Send any command and return its reply. Raises `CommandError` ``UNAVAILABLE``."""
        try:
            return await self._call(*arguments)
        except RefusedError as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Close the connection, unless other links may use it."""
        self._drop("it is not used any more")

    async def _make_scripts(self) -> None:
        found = await self.command(b"GET", self._prefix + "window") or b""
        try:
            self._scripts = load_scripts(parse_window(found.decode()), registered=found.decode())
        except ValueError:
            raise StoreError("its nodes have a newer version than this program: update this one") from None

    async def _call(self, *arguments: Argument) -> Any:
        """Send a command. Raises `CommandError` ``UNAVAILABLE``, or `RefusedError` if it is answered with an error."""
        connection = await self._opened()
        try:
            async with time_limit():
                return await connection.call(*arguments)
        except TimeoutError:
            connection.abort(f"no answer for {PATIENCE:g} s")
            raise StoreError(f"no answer for {PATIENCE:g} s") from None

    async def _opened(self) -> StoreConnection:
        async with self._opening:
            if self._connection is None or self._connection.lost.done():
                try:
                    connection = await self._open_connection()
                    async with time_limit():
                        await require_shared(connection.call, self._prefix)
                    self._connection = connection
                except (OSError, RefusedError) as error:
                    raise open_failure(error) from None
            return self._connection

    def _failure(self, error: RefusedError) -> CommandError:
        text = str(error)
        if text.startswith("OOM"):
            return StoreError(text, "The store is full (OOM): nothing can be added to it now.")
        if text.startswith("WRONGTYPE"):
            return StoreError(text, "A key in the store has the wrong type; the log of a node names it.")
        if text.startswith(_LOGIN_ERRORS):
            return CommandError(ErrorCode.UNAUTHORIZED, f"The store refuses this user or password: {text}.")
        if text.startswith(CLUSTER_ERRORS):
            self._connection = None
        else:
            self._drop(text)
        return StoreError(text)

    def _drop(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not self._shared:
            connection.abort(reason)


def open_failure(error: OSError | RefusedError) -> CommandError:
    """Return the error for a connection that could not be opened."""
    reason = reason_of(error)
    if any(word in reason for word in _LOGIN_ERRORS):
        return CommandError(ErrorCode.UNAUTHORIZED, f"The store refuses this user or password: {reason}.")
    return StoreError(reason)


class VisitedShard:
    """One shard: its prefix and the connection to it."""

    def __init__(self, prefix: str, link: VisitorLink) -> None:
        self.prefix = prefix
        self.link = link
