"""Keeps a client connected: connect, identify, rejoin the group, renew the token, reconnect."""

from __future__ import annotations

import asyncio
import inspect
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from hubbub.client.connection import Call, Connection, End, open_connection
from hubbub.client.events import Connected, Event, Problem, Reconnecting
from hubbub.client.guest_keys import derive_guest_key
from hubbub.client.positions import Positions
from hubbub.client.reconnect_policy import (
    STABLE_AFTER,
    is_temporary,
    refresh_in,
    retry_delay,
    should_reconnect,
    socket_url,
)
from hubbub.client.results import Joined
from hubbub.client.wire import check_size, connect_command, join_command
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.messages import Gap as ServerGap
from hubbub.messages import Position, Restart, Welcome

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function, which may be async, that returns a fresh one."""

Headers = Mapping[str, str] | Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]
"""Headers of the opening handshake, or a function, which may be async, that returns them."""

RENEWED = "RENEWED"
"""The code of a connection that this client ended to open another one with fresh cookies."""


class Target(msgspec.Struct, frozen=True):
    """Where to connect, with which identity, and how many seconds to wait for a reply. See `hubbub.connect`."""

    url: str
    token: Token | None
    guest: str | None
    timeout: float
    tls: ssl.SSLContext | None
    guest_key: str | None = None
    headers: Headers | None = None
    inbox: Position | None = None

    def __post_init__(self) -> None:
        """Reject options that can never work. Raises `CommandError`."""
        if self.token is not None and self.guest is not None:
            raise invalid('connect() takes either "token" or "guest", and not both.')
        if self.guest_key is not None and self.guest is None:
            raise invalid('"guest_key" belongs to "guest": leave it out without a guest name.')
        if self.inbox is not None and not isinstance(self.inbox, Position):
            raise invalid('"inbox" must be a hubbub.Position(epoch, seq), or None.')
        if not self.timeout > 0:
            raise invalid('"timeout" must be a positive number of seconds.')

    @property
    def renewable(self) -> bool:
        """Whether the next attempt can use a new token."""
        return callable(self.token)

    async def credentials(self) -> dict[str, str]:
        """Return the credentials for the command ``connect``. Raises `CommandError` ``UNAUTHORIZED`` if that fails."""
        if self.guest is not None:
            return {"guest": self.guest, "guest_key": self.guest_key or derive_guest_key(self.url)}
        if isinstance(self.token, str):
            return {"token": self.token}
        return {} if self.token is None else {"token": await self._call("token", self.token)}

    async def handshake_headers(self) -> Mapping[str, str] | None:
        """Return the headers of the next handshake. Raises `CommandError` ``UNAUTHORIZED`` if that fails."""
        headers = self.headers
        return await self._call("headers", headers) if callable(headers) else headers

    async def _call(self, what: str, function: Callable[[], Any]) -> Any:
        try:
            value = function()
            if inspect.isawaitable(value):
                async with asyncio.timeout(self.timeout):
                    value = await value
        except Exception as error:
            raise CommandError(ErrorCode.UNAUTHORIZED, f"The {what} function failed: {error!r}.") from error
        return value


class ReconnectingConnection:
    """A connection and those that replace it, from the first attempt until `run` returns.

    Attributes:
        positions: The group to rejoin, and the positions of the last messages received.
        welcome: The reply to the last ``connect``; None before the first connection.
        connected: Done when connected for the first time; fails when that is impossible.
        last_error: Why the last attempt failed or the last connection ended.
    """

    def __init__(self, target: Target, emit: Callable[[Event, int], None]) -> None:
        """Call `emit` with every event, also those about the connection itself, and about how many bytes it takes."""
        self._target = target
        self._url = socket_url(target.url)
        self._size = 0  # of the event that is being processed
        self._emit: Callable[[Event], None] = lambda event: emit(event, self._size)
        self._calls: dict[Call, None] = {}  # those without a reply, in the order in which they were made
        self._connection: Connection | None = None  # the present one, once it is identified and back in the group
        self._ready_at = float("inf")
        self._restart: Restart | None = None  # the server's restart notice
        self._ticket: str | None = None  # from the notice, until it has been used
        self._renewing: asyncio.Task[None] | None = None  # sends new tokens on the present connection
        self._renewals: list[asyncio.Future[None]] = []  # wait for the next connection
        self._another: asyncio.Future[None] | None = None  # done when the present connection is to be replaced
        self.positions = Positions(self._emit)
        self.positions.inbox = target.inbox
        self.welcome: Welcome | None = None
        self.last_error = "the server has not answered"
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def state(self) -> str:
        """``connected``, ``reconnecting``, or ``connecting`` before the first time."""
        if self._connection:
            return "connected"
        return "reconnecting" if self.welcome else "connecting"

    @property
    def waiting(self) -> int:
        """How many calls wait for their replies."""
        return len(self._calls)

    async def ask(self, call: Call) -> Any:
        """Send a call now, or once connected, and again after a reconnect; return its reply. Raises `CommandError`."""
        self._calls[call] = None
        try:
            self._send(call)
            return await call.answer(self._target.timeout)
        finally:
            del self._calls[call]

    def join(self, group: str | None, since: Position | None = None, history: int = 0) -> Call:
        """Return the call that joins `group`, or leaves. Raises `CommandError` if `group` is not a name."""
        return Call(
            join_command(group, since, history),
            Joined,
            lambda joined: self.positions.on_join(group or None, since, joined),
        )

    async def renew(self) -> None:
        """Use fresh rights from now on: see `hubbub.Client.renew`. Raises `CommandError`."""
        if self._target.guest is not None:
            raise CommandError(ErrorCode.INVALID_REQUEST, "A guest has no token or cookie, so nothing can be renewed.")
        connection = self._connection
        if self._target.token is not None and connection is not None:
            welcome = await self._send_credentials(connection, await self._target.credentials())
            self._keep_renewing(connection, welcome.expires)
            return
        # The cookies of a handshake never change, so another connection is needed; while there is none, it is coming.
        renewed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._renewals.append(renewed)
        if self._another is not None and not self._another.done():
            self._another.set_result(None)
        await renewed

    def fail(self, error: CommandError) -> None:
        """Fail all calls, and `connected`, with `error`."""
        for call in self._calls:
            call.reject(error)
        for renewed in self._renewals:
            if not renewed.done():
                renewed.set_exception(error)
                renewed.exception()
        self._renewals.clear()
        if not self.connected.done():
            self.connected.set_exception(error)
            self.connected.exception()  # so that asyncio does not complain if nobody awaits it

    async def run(self) -> End:
        """Stay connected. Return only when reconnecting cannot help."""
        attempt = 0
        while True:
            self._ready_at = float("inf")
            end = await self._stay_connected()
            self.last_error = end.reason
            if end.code == RENEWED:
                self._emit(Reconnecting(end.code, end.reason, 0.0))
                continue
            if not should_reconnect(end.code, renewable=self._target.renewable and self.welcome is not None):
                return end
            if time.monotonic() - self._ready_at >= STABLE_AFTER:
                attempt = 0
            restart_after = None if self._restart is None else self._restart.after
            delay = retry_delay(end.code, attempt, random.random(), restart_after)  # noqa: S311  (spreads load, guards nothing)
            self._restart = None
            self._emit(Reconnecting(end.code, end.reason, delay))
            await asyncio.sleep(delay)
            attempt += 1

    async def _stay_connected(self) -> End:
        """Connect, identify, rejoin the group, and stay until the connection ends. Return the end; never raise."""
        running: asyncio.Task[End] | None = None
        try:
            credentials = {"ticket": self._ticket} if self._ticket else await self._target.credentials()
            connection = await open_connection(
                self._url,
                self._on_event,
                timeout=self._target.timeout,
                tls=self._target.tls,
                headers=await self._target.handshake_headers(),
            )
            running = asyncio.create_task(connection.run())
            welcome = await self._identify(connection, credentials)
            await self._rejoin(connection)
            self._on_ready(connection, welcome)
            self._keep_renewing(connection, welcome.expires)
            self._another = asyncio.get_running_loop().create_future()
            try:
                waits: list[asyncio.Future[Any]] = [running, self._another]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._another = None
                renewing, self._renewing = self._renewing, None
                if renewing is not None:
                    renewing.cancel()
                    await asyncio.wait([renewing])
            return running.result() if running.done() else End(RENEWED, "renewed by this client")
        except CommandError as error:
            if running and running.done() and error.code == ErrorCode.UNAVAILABLE:
                return running.result()  # the close code is more precise than the call that failed because of it
            return End(error.code, error.message, error)
        except Exception as error:  # a bug of this client; the next attempt may succeed
            asyncio.get_running_loop().call_exception_handler({"message": "The client failed", "exception": error})
            return End(ErrorCode.INTERNAL, f"The client failed: {error!r}.")
        finally:
            self._connection = None
            if running:
                running.cancel()
                await asyncio.wait([running])

    async def _identify(self, connection: Connection, credentials: dict[str, str]) -> Welcome:
        """Identify; when a ticket is refused, with a token."""
        had_ticket, self._ticket = self._ticket is not None, None
        try:
            return await self._send_credentials(connection, credentials)
        except CommandError as error:
            if not had_ticket or error.code != ErrorCode.UNAUTHORIZED:
                raise
        return await self._send_credentials(connection, await self._target.credentials())

    def _on_event(self, event: Event | ServerGap | Restart, size: int) -> None:
        if not isinstance(event, Restart):
            self._size = size
            self.positions.on_event(event)
            self._size = 0
            return
        self._restart = event
        if isinstance(event.ticket, str):
            self._ticket = event.ticket

    async def _send_credentials(self, connection: Connection, credentials: dict[str, str]) -> Welcome:
        call = Call(connect_command(credentials, self.positions.inbox), Welcome, self.positions.on_welcome)
        welcome = await connection.ask(call, self._target.timeout)
        assert isinstance(welcome, Welcome)
        return welcome

    async def _rejoin(self, connection: Connection) -> None:
        if self.positions.group is None:
            return
        try:
            await connection.ask(self.join(self.positions.group, self.positions.position), self._target.timeout)
        except CommandError as error:
            if is_temporary(error.code):
                raise
            self.positions.forget_group()  # the group is not allowed any more; the connection is still useful
            self._emit(Problem(error.code, error.message))

    def _on_ready(self, connection: Connection, welcome: Welcome) -> None:
        self._ready_at = time.monotonic()
        self._connection = connection
        self.welcome = welcome
        for call in self._calls:
            self._send(call)
        self._emit(Connected())
        for renewed in self._renewals:
            if not renewed.done():
                renewed.set_result(None)
        self._renewals.clear()
        if not self.connected.done():
            self.connected.set_result(None)

    def _send(self, call: Call) -> None:
        if self._connection is None or self.welcome is None or call.future.done():
            return
        try:
            check_size(call.command, call.body, self.welcome.max_message)
            self._connection.send(call)
        except CommandError as error:
            call.reject(error)

    def _keep_renewing(self, connection: Connection, expires: float | None) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        self._renewing = asyncio.create_task(self._renew_token(connection, expires))

    async def _renew_token(self, connection: Connection, expires: float | None) -> None:
        """Send a new token each time before the old one expires."""
        while self._target.renewable and (delay := refresh_in(expires, time.time())) is not None:
            await asyncio.sleep(delay)
            try:
                expires = (await self._send_credentials(connection, await self._target.credentials())).expires
            except CommandError as error:
                self._emit(Problem(error.code, error.message))  # after a failure the delays get shorter and shorter
