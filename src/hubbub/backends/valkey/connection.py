"""One connection to the store: commands are sent in order, many in one write; replies and messages arrive in order.

RESP3 carries replies and the messages of subscribed channels on one connection, so both have one order: when the reply
to a join has arrived, every message published later arrives later. The parser is ``hiredis``; this module is the queue
of commands that wait for their replies. Other clients use a separate connection for subscriptions, which loses that
order, and wait for each reply before they send the next command.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from hiredis import ProtocolError, PushNotification, Reader, ReplyError, pack_command

from hubbub.backends.valkey.address import Address
from hubbub.errors import CommandError, ErrorCode, StoreError

MAX_PENDING = 20_000
"""Most commands that may wait for their replies; more are refused, so the queue is bounded."""

MAX_UNSENT = 64 * 1024 * 1024
"""Most bytes that may wait to be sent; beyond that commands are refused, so a frozen store cannot fill the memory."""

log = logging.getLogger("hubbub.valkey")

_NOT_A_STORE = "it does not answer like Valkey or Redis; check host and port"

Argument = bytes | str | int

Done = Callable[[Any], None]
"""What is called with a reply, or with the `CommandError` or `RefusedError` in its place."""

Receive = Callable[[bytes, bytes | None], None]
"""What is called with a message or a changed key: see `StoreConnection`."""


class RefusedError(Exception):
    """The store has answered a command with an error."""


class WrongTypeError(CommandError):
    """A command has met a key of the wrong type; everything else in the store is in order. See `wrong_keys`."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, "A key in the store has the wrong type; the server's log names it.")


class StoreConnection(asyncio.Protocol):
    """An open connection. Make one with `open_connection`.

    Args:
        receive: Called with channel and payload of each message, in the order of the store, and after the callers that
            waited for earlier replies have continued. Also called, without a payload and perhaps earlier, with each key
            that was changed after a `call_tracked` had read it; with an empty one if all were.

    Attributes:
        lost: Done when the connection is lost, with the reason.
        primary: Whether the server took writes when the connection was opened.
        clustered: Whether it belongs to a cluster.
        host: The host of the server.
        tracks: Whether it says which keys are changed; None before the first `call_tracked`.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._waiting: deque[tuple[asyncio.Future[Any] | Done | None, float]] = deque()
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._transport: asyncio.Transport
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.primary = self.clustered = False
        self.host = ""
        self.tracks: bool | None = None

    # --- commands ---

    async def call(self, *arguments: Argument) -> Any:
        """Send a command and return its reply; all commands of one tick are sent in one write.

        Raises:
            CommandError: ``UNAVAILABLE``: the connection was lost, or too many commands wait.
            RefusedError: The store answered with an error.
        """
        self.require_room()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._send(arguments, future)
        return await future

    async def call_tracked(self, *arguments: Argument) -> Any:
        """Do what `call` does, and let the store say when a key is changed that the command has read."""
        self.require_room()
        if self.tracks is None:
            self.tracks = True
            self._send((b"CLIENT", b"TRACKING", b"ON", b"OPTIN"), self._note_tracking)
        if self.tracks:
            self._send((b"CLIENT", b"CACHING", b"YES"), _ignore)
        return await self.call(*arguments)

    def call_soon(self, done: Done, *arguments: Argument) -> None:
        """Send a command, and call `done` once, in a later callback of the loop. See `call` for what this raises."""
        self.require_room()
        self._send(arguments, done)

    def require_room(self) -> None:
        """Raise `CommandError` ``UNAVAILABLE`` if the connection is lost, or if too much waits already."""
        if self.lost.done():
            raise StoreError(self.lost.result())
        if len(self._waiting) >= MAX_PENDING:
            raise overloaded("too many commands wait for it")
        if self._transport.get_write_buffer_size() + self._out_bytes > MAX_UNSENT:
            raise overloaded("too many bytes wait to be sent to it")

    def subscribe(self, channel: bytes) -> None:
        """Receive the messages of a channel that are published after this command."""
        self._send((b"SSUBSCRIBE", channel), None)

    def unsubscribe(self, channel: bytes) -> None:
        """Stop receiving a channel."""
        self._send((b"SUNSUBSCRIBE", channel), None)

    def waits_since(self) -> float | None:
        """Return when the oldest command without a reply was sent, on the loop's clock; None if there is none."""
        return self._waiting[0][1] if self._waiting else None

    def abort(self, reason: str) -> None:
        """Close the connection. Commands that wait for replies fail at once with ``UNAVAILABLE`` and `reason`."""
        self._end(reason)
        self._transport.abort()

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport has all its methods

    def data_received(self, data: bytes) -> None:
        """Parse replies and messages.

        A caller that waits for a reply continues in a later callback of the loop. Messages are delivered in one too, so
        that neither overtakes the other.
        """
        try:
            self._parse(data)
        except ProtocolError:
            self.abort(_NOT_A_STORE)

    def _parse(self, data: bytes) -> None:
        self._reader.feed(data)
        received: list[Any] = []
        while (item := self._reader.gets()) is not False:
            if isinstance(item, PushNotification) and item[0] == b"smessage":
                received.append(item)
            elif isinstance(item, PushNotification) and item[0] == b"invalidate":
                for key in item[1] or [b""]:
                    self._receive(key, None)
            else:
                if received:
                    self._loop.call_soon(self._deliver, received)
                    received = []
                self._reply(item)
        if received:
            self._loop.call_soon(self._deliver, received)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all commands that wait for replies."""
        self._end(str(exc) if exc else "it closed the connection")

    # --- inside ---

    def _send(self, arguments: tuple[Argument, ...], waiter: asyncio.Future[Any] | Done | None) -> None:
        if self.lost.done():
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        packed = pack_command(arguments)  # type: ignore[arg-type]  # its stub says one argument
        self._out.append(packed)
        self._out_bytes += len(packed)
        self._waiting.append((waiter, self._loop.time()))

    def _flush(self) -> None:
        out, self._out, self._out_bytes = self._out, [], 0
        if not self.lost.done():
            self._transport.write(b"".join(out))

    def _reply(self, item: Any) -> None:
        if not self._waiting:
            return self.abort("it sent a reply to no command")
        waiter, _ = self._waiting.popleft()
        if isinstance(item, PushNotification) != (waiter is None):
            # A subscription was refused, or ended by the store: nothing can be relied on any more.
            return self.abort(f"a subscription failed: {item!r:.100}")
        if waiter is not None:
            self._answer(waiter, RefusedError(str(item)) if isinstance(item, ReplyError) else item)
        return None

    def _note_tracking(self, reply: Any) -> None:
        if isinstance(reply, RefusedError):
            self.tracks = False
            log.warning("the store refuses CLIENT TRACKING (%s): live queries are read again and again", reply)

    def _answer(self, waiter: asyncio.Future[Any] | Done, item: Any) -> None:
        if not isinstance(waiter, asyncio.Future):
            self._loop.call_soon(waiter, item)
        elif not waiter.done():
            if isinstance(item, CommandError | RefusedError):
                waiter.set_exception(item)
            else:
                waiter.set_result(item)

    def _deliver(self, received: list[Any]) -> None:
        for _, channel, payload in received:
            try:
                self._receive(channel, payload)
            except Exception:  # one that this version cannot parse must not affect the others
                log.exception("could not handle a message on channel %.100r", channel)

    def _end(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        for waiter, _ in self._waiting:
            if waiter is not None:
                self._answer(waiter, StoreError(reason))
        self._waiting.clear()


def reason_of(error: OSError | RefusedError | CommandError) -> str:
    """Return why a connection failed, for operators."""
    if isinstance(error, StoreError):
        return error.reason
    return error.message if isinstance(error, CommandError) else str(error) or "no answer in time"


def overloaded(reason: str) -> StoreError:
    """Return the error for a command that cannot wait as well."""
    return StoreError(reason, f"The store is too slow: {reason}. Try again.")


def _ignore(reply: object) -> None:
    """Do nothing with a reply."""


async def open_connection(address: Address, receive: Receive) -> StoreConnection:
    """Connect to the first server of `address`, log in, and select the database.

    Raises:
        OSError: No server listens there, or TLS failed.
        RefusedError: User or password are wrong, the server is too old, or it is no store.
        CommandError: ``UNAVAILABLE``: the server closed the connection.
    """
    loop = asyncio.get_running_loop()
    if address.unix:
        _, connection = await loop.create_unix_connection(lambda: StoreConnection(receive), address.host)
    else:
        _, connection = await loop.create_connection(
            lambda: StoreConnection(receive), address.host, address.port, ssl=address.tls
        )
    try:
        hello: list[Argument] = [b"HELLO", 3]
        if address.password is not None:
            hello += [b"AUTH", address.user or "default", address.password]
        about = await connection.call(*hello, b"SETNAME", b"hubbub")
        if not isinstance(about, dict):
            raise RefusedError(_NOT_A_STORE)
        connection.primary, connection.clustered = about.get(b"role") == b"master", about.get(b"mode") == b"cluster"
        connection.host = address.host
        if address.database:
            await connection.call(b"SELECT", address.database)
    except BaseException:
        connection.abort("it could not be set up")
        raise
    return connection
