"""Keeps a client connected: identify, go back to the group, stay, renew the token, and when it ends, begin again."""

from __future__ import annotations

import asyncio
import inspect
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hubbub.client.connection import Call, Connection, End, open_connection
from hubbub.client.events import Connected, Event, Problem, Reconnecting
from hubbub.client.positions import Positions
from hubbub.client.reconnect_policy import STEADY, comes_back, is_temporary, refresh_in, retry_delay, socket_url
from hubbub.client.results import Joined
from hubbub.client.wire import check_size, connect_command, join_command
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.messages import Gap as Lost
from hubbub.messages import Position, Restart, Welcome

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function, perhaps async, that returns a fresh one."""


class Target(msgspec.Struct, frozen=True):
    """Where to connect, as whom, and how long to wait for an answer (seconds). See `hubbub.connect`."""

    url: str
    token: Token | None
    guest: str | None
    timeout: float
    tls: ssl.SSLContext | None

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        if (self.token is None) == (self.guest is None):
            raise invalid('connect() needs either "token" or "guest".')
        if not self.timeout > 0:
            raise invalid('"timeout" must be a positive number of seconds.')

    @property
    def renewable(self) -> bool:
        """Whether the next attempt brings a new token."""
        return callable(self.token)

    async def credentials(self) -> dict[str, str]:
        """Return what the command ``connect`` says. Raises `CommandError` ``UNAUTHORIZED`` when there is no token."""
        if self.guest is not None:
            return {"guest": self.guest}
        if isinstance(self.token, str):
            return {"token": self.token}
        assert self.token is not None
        try:
            token = self.token()
            if inspect.isawaitable(token):
                async with asyncio.timeout(self.timeout):
                    token = await token
        except Exception as error:
            raise CommandError(ErrorCode.UNAUTHORIZED, f"The token function failed: {error!r}.") from error
        return {"token": token}


class ReconnectingConnection:
    """The connection and its successors, from the first attempt to an end that is final.

    Attributes:
        places: The group to go back to, and how far we have listened.
        welcome: What the server said last time; None before the first connection.
        connected: Done when connected for the first time; fails when that cannot be.
        trouble: Why the last attempt failed or the last connection ended.
    """

    def __init__(self, target: Target, emit: Callable[[Event, int], None]) -> None:
        """Tell `emit` every event, those about the connection itself included, and about how many bytes it takes."""
        self._target = target
        self._url = socket_url(target.url)
        self._weight = 0  # of the event that is being heard
        self._emit: Callable[[Event], None] = lambda event: emit(event, self._weight)
        self._calls: dict[Call, None] = {}  # not answered yet, in the order in which they were made
        self._connection: Connection | None = None  # identified, and back in its group
        self._ready_at = float("inf")
        self._restart: Restart | None = None  # the server has told us to come back
        self._ticket: str | None = None  # from then on, until it was used
        self.positions = Positions(self._emit)
        self.welcome: Welcome | None = None
        self.trouble = "no answer yet"
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def state(self) -> str:
        """``connected``, ``reconnecting``, or ``connecting`` before the first time."""
        if self._connection:
            return "connected"
        return "reconnecting" if self.welcome else "connecting"

    @property
    def waiting(self) -> int:
        """How many calls wait for their answers."""
        return len(self._calls)

    async def ask(self, call: Call) -> Any:
        """Send a call now, or as soon as connected, again if need be, and return its answer. Raises `CommandError`."""
        self._calls[call] = None
        try:
            self._send(call)
            return await call.answer(self._target.timeout)
        finally:
            del self._calls[call]

    def join(self, group: str | None, since: Position | None = None, history: int = 0) -> Call:
        """Return the call that joins `group`, or leaves. Raises `CommandError`."""
        return Call(
            join_command(group, since, history),
            Joined,
            lambda joined: self.positions.joined(group or None, since, joined),
        )

    def fail(self, error: CommandError) -> None:
        """Let everything fail that waits."""
        for call in self._calls:
            call.reject(error)
        if not self.connected.done():
            self.connected.set_exception(error)
            self.connected.exception()  # whoever waits sees it; nobody has to

    async def run(self) -> End:
        """Keep connected. Return only when coming back cannot help."""
        attempt = 0
        while True:
            self._ready_at = float("inf")
            end = await self._stay_connected()
            self.trouble = end.reason
            if not comes_back(end.code, renewable=self._target.renewable and self.welcome is not None):
                return end
            if time.monotonic() - self._ready_at >= STEADY:
                attempt = 0
            told = None if self._restart is None else self._restart.after
            delay = retry_delay(end.code, attempt, random.random(), told)  # noqa: S311  (spreads load, guards nothing)
            self._restart = None
            self._emit(Reconnecting(end.code, end.reason, delay))
            await asyncio.sleep(delay)
            attempt += 1

    async def _stay_connected(self) -> End:
        """Connect, identify, go back to the group, and stay until it ends. Return the end; never raise."""
        running: asyncio.Task[End] | None = None
        try:
            credentials = {"ticket": self._ticket} if self._ticket else await self._target.credentials()
            connection = await open_connection(
                self._url, self._hear, timeout=self._target.timeout, tls=self._target.tls
            )
            running = asyncio.create_task(connection.run())
            welcome = await self._enter(connection, credentials)
            await self._rejoin(connection)
            self._ready(connection, welcome)
            renewing = asyncio.create_task(self._renew_token(connection, welcome.expires))
            try:
                return await asyncio.shield(running)
            finally:
                renewing.cancel()
                await asyncio.wait([renewing])
        except CommandError as error:
            if running and running.done() and error.code == ErrorCode.UNAVAILABLE:
                return running.result()  # the close code says more than the call that failed with it
            return End(error.code, error.message, error)
        except Exception as mishap:  # a mistake of this client; the next attempt may do better
            asyncio.get_running_loop().call_exception_handler({"message": "The client failed", "exception": mishap})
            return End(ErrorCode.INTERNAL, f"The client failed: {mishap!r}.")
        finally:
            self._connection = None
            if running:
                running.cancel()
                await asyncio.wait([running])

    async def _enter(self, connection: Connection, credentials: dict[str, str]) -> Welcome:
        """Say who we are; with a token after all, if a ticket is not taken."""
        had_ticket, self._ticket = self._ticket is not None, None
        try:
            return await self._identify(connection, credentials)
        except CommandError as error:
            if not had_ticket or error.code != ErrorCode.UNAUTHORIZED:
                raise
        return await self._identify(connection, await self._target.credentials())

    def _hear(self, event: Event | Lost | Restart, weight: int) -> None:
        if not isinstance(event, Restart):
            self._weight = weight
            self.positions.hear(event)
            self._weight = 0
            return
        self._restart = event
        if isinstance(event.ticket, str):
            self._ticket = event.ticket

    async def _identify(self, connection: Connection, credentials: dict[str, str]) -> Welcome:
        call = Call(connect_command(credentials, self.positions.inbox), Welcome, self.positions.welcomed)
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
            self.positions.forget_group()  # no longer allowed: the connection is of use all the same
            self._emit(Problem(error.code, error.message))

    def _ready(self, connection: Connection, welcome: Welcome) -> None:
        self._ready_at = time.monotonic()
        self._connection = connection
        self.welcome = welcome
        for call in self._calls:
            self._send(call)
        self._emit(Connected())
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

    async def _renew_token(self, connection: Connection, expires: float | None) -> None:
        """Bring a new token before the old one ends, as long as there are new ones."""
        while self._target.renewable and (delay := refresh_in(expires, time.time())) is not None:
            await asyncio.sleep(delay)
            try:
                expires = (await self._identify(connection, await self._target.credentials())).expires
            except CommandError as error:
                self._emit(Problem(error.code, error.message))  # and again, sooner and sooner
