"""The client that programs use: the six methods of the spec page in snake_case, and the events."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any, Literal

from hubbub.client.connection import Call, End
from hubbub.client.event_queue import EventQueue, call_with_events
from hubbub.client.events import Closed, Event, Problem
from hubbub.client.paging import QueryCache
from hubbub.client.reconnecting import Headers, ReconnectingConnection, Target, Token
from hubbub.client.results import Joined, Page, Row, Sent, StartKey
from hubbub.client.wire import Command, Recipient, listing_command, post_command
from hubbub.errors import Close, CommandError, ErrorCode, invalid
from hubbub.messages import Condition, GroupRow, Order, Position, UserRow

MAX_CALLS = 1000
"""Most calls that wait for their replies at a time."""


def connect(
    url: str,
    *,
    token: Token | None = None,
    guest: str | None = None,
    guest_key: str | None = None,
    headers: Headers | None = None,
    on_event: Callable[[Event], object] | None = None,
    timeout: float = 10.0,
    connect_timeout: float | None = 10.0,
    max_events: int = 10_000,
    tls: ssl.SSLContext | None = None,
    inbox: Position | None = None,
) -> Client:
    """Return a client of the server at `url`, for ``async with`` or ``await``, which connect it.

    Args:
        url: The server's address (``http``, ``https``, ``ws`` or ``wss``); a path before ``/v1/connect`` is kept.
        token: A token, or a function, which may be async, that returns a fresh one. The function is called before each
            attempt to connect, and shortly before the present token expires.
        guest: A name instead of a token, if the server accepts guests. Without either, the app in which the hub is
            mounted says who this client is, for example by a cookie in `headers`.
        guest_key: 16 to 128 ASCII characters that other programs need to connect with the same guest name while it is
            in use. Default: random for each process and server, so clients of one process can share a name.
        headers: Headers of the opening handshake, such as ``{"Cookie": "session=…"}``, or a function, which may be
            async, that returns them. The function is called before each attempt to connect.
        on_event: Called with every event, one after the other; may be async. Without it, read the events with
            ``async for event in client``.
        timeout: Seconds that a call waits for its reply.
        connect_timeout: Seconds to wait for the first connection; None for no limit.
        max_events: Most unread events. Beyond that the newest are dropped and replaced by one `Problem` (code
            ``EVENTS_LOST``) that says how many.
        tls: How the server's certificate is checked; None for the system's default.
        inbox: To continue after an earlier run of the program: its last `Client.inbox`. The private messages after it
            arrive, or a `Gap` if the server no longer has them. A guest needs the same `guest_key` again.

    Raises:
        CommandError: ``INVALID_PARAMETER``: `url` is not the address of a server, `inbox` is not a position, or `token`
            and `guest` are given.
    """
    if max_events < 1:
        raise invalid('"max_events" must be at least 1.')
    target = Target(url, token, guest, timeout, tls, guest_key, headers, inbox)
    return Client(target, on_event, connect_timeout, max_events)


class Client:
    """A client of one server; made by `connect`.

    All methods raise `hubbub.CommandError`: with the server's code and text; with ``UNAVAILABLE`` when no reply arrives
    in time (a post may or may not have been delivered then) or the connection has ended for good; with
    ``INVALID_REQUEST`` before `connect_realtime`. While (re)connecting, calls wait.
    """

    def __init__(
        self,
        target: Target,
        on_event: Callable[[Event], object] | None,
        connect_timeout: float | None,
        max_events: int,
    ) -> None:
        self._target = target
        self._on_event = on_event
        self._connect_timeout = connect_timeout
        self._max_events = max_events
        self._queue: EventQueue | None = None
        self._connection: ReconnectingConnection | None = None
        self._running: asyncio.Task[None] | None = None
        self._calling_back: asyncio.Task[None] | None = None
        self._queries = QueryCache()
        self._session = secrets.token_urlsafe(9)  # with a number it makes the keys of posts
        self._numbers = itertools.count(1)

    # --- state ---

    @property
    def state(self) -> str:
        """``closed``, ``connecting``, ``connected`` or ``reconnecting``."""
        return self._connection.state if self._connection else "closed"

    @property
    def user_id(self) -> str | None:
        """Our user id; None before the first connection."""
        return self._connection.welcome.user_id if self._connection and self._connection.welcome else None

    @property
    def connection_id(self) -> str | None:
        """The id of the present connection; None while there is none."""
        return self._connection.welcome.connection_id if self.state == "connected" and self._connection else None  # type: ignore[union-attr]

    @property
    def group(self) -> str | None:
        """The joined group, which a reconnect joins again; None without one."""
        return self._connection.positions.group if self._connection else None

    @property
    def position(self) -> Position | None:
        """The position of the last message received in the group; None without one. For `join_realtime`'s `since`."""
        return self._connection.positions.position if self._connection else None

    @property
    def inbox(self) -> Position | None:
        """The position of the last private message received; None without a connection. For `connect`'s `inbox`."""
        return self._connection.positions.inbox if self._connection else None

    # --- connecting ---

    async def connect_realtime(self) -> None:
        """Connect, and stay connected until `close_realtime`.

        Raises:
            CommandError: The server's error; or ``UNAVAILABLE``: not connected within `connect_timeout`.
        """
        if self._connection is None:
            self._queue = EventQueue(self._max_events)
            self._connection = ReconnectingConnection(self._target, self._queue.put)
            self._running = asyncio.create_task(self._run(self._connection))
            if self._on_event:
                self._calling_back = asyncio.create_task(call_with_events(self._queue, self._on_event))
        connection = self._connection
        try:
            async with asyncio.timeout(self._connect_timeout):
                await asyncio.shield(connection.connected)
        except TimeoutError:
            await self.close_realtime()
            text = f"No connection within {self._connect_timeout:g} s: {connection.last_error}"
            raise CommandError(ErrorCode.UNAVAILABLE, text) from None

    async def close_realtime(self) -> None:
        """Close the connection and forget the group; waiting calls fail. Does nothing without a connection."""
        if self._connection is None or self._running is None:
            return
        running, calling_back = self._running, self._calling_back
        error = CommandError(ErrorCode.UNAVAILABLE, "The connection was closed by close_realtime().")
        self._finish(self._connection, End(int(Close.NORMAL), "closed", error))
        running.cancel()
        await asyncio.wait([running])
        if calling_back and calling_back is not asyncio.current_task():  # the callback itself may close the client
            await asyncio.wait([calling_back])

    async def renew(self) -> None:
        """Use fresh rights from now on, for example after the user's teams have changed.

        With a token function it asks for a fresh token and sends that on the connection that is open. With cookies it
        reconnects, since those of a handshake never change, and resumes: messages posted meanwhile are replayed.

        Raises:
            CommandError: The server's refusal. A refused token leaves the connection as it was; a refused reconnect
                ends it. ``INVALID_REQUEST``: not connected, or connected as a guest.
        """
        await self._required().renew()

    def __await__(self) -> Generator[Any, None, Client]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Client:
        await self.connect_realtime()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_realtime()

    # --- events ---

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events since `connect_realtime`, each once and to one reader, and end after `Closed`."""
        if self._on_event:
            raise CommandError(
                ErrorCode.INVALID_REQUEST,
                "This client passes its events to on_event. Leave on_event out to read them with `async for`.",
            )
        if self._queue is None:
            raise _not_connected()
        while event := await self._queue.get():
            yield event

    # --- commands ---

    async def join_realtime(self, group: str | None, *, history: int = 0, since: Position | None = None) -> Joined:
        """Join a group, leaving the one before; None and ``""`` only leave.

        Args:
            group: Its name.
            history: How many of the last messages to receive, if the server still has that many.
            since: Instead, receive everything after this position; if messages are missing, a `Gap` comes first. After
                a reconnect the client does this by itself.
        """
        joined: Joined = await self._ask(self._required().join(group, since, history))
        return joined

    async def post_realtime(
        self, message: Any, recipient: Recipient, *, key: str | None = None, min_recipients: int | None = None
    ) -> Sent:
        """Send any JSON value to the joined group or to a user.

        If the connection is lost before the reply, it is sent again after the reconnect, and delivered once.

        Args:
            message: None, bool, int, float, str, list, tuple, or dict with strings as keys.
            recipient: A name, which means the joined group if it has that name, otherwise a user; or explicitly
                ``{"group": …}`` or ``{"user_id": …}``.
            key: Identifies this post: posts with the same key, user and recipient are delivered once, within the
                server's window. By default each post has its own key.
            min_recipients: Fail with ``INVALID_REQUEST``, and deliver nothing, if fewer connections would receive it.
        """
        if key is None:
            key = f"{self._session}.{next(self._numbers)}"
        sent: Sent = await self._ask(Call(post_command(message, recipient, key, min_recipients), Sent))
        return sent

    async def get_realtime_groups(
        self,
        search_for: Order | None = None,
        value: str | float | None = None,
        condition: Condition | None = None,
        range: str | float | None = None,  # noqa: A002  (the spec page's name)
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        start_key: StartKey | Literal["start"] | None = None,
        fetch_more: bool = False,
    ) -> Page[GroupRow]:
        """List or search the groups. The parameters are those of the spec page.

        Args:
            search_for: ``"group"``, by name, or ``"number_of_users"``.
            value: The name or number to compare with.
            condition: How to compare; ``>=`` on names means "starts with".
            range: The other end of a range, instead of `condition`.
            limit: Most rows of a page, 1 to 1000; by default 50.
            ascending: False for descending order.
            start_key: The start key of an earlier page, to continue after it.
            fetch_more: Continue after the last page of the same query.
        """
        fields = {"searchFor": search_for, "value": value, "condition": condition, "range": range}
        command = listing_command("groups", **fields, limit=limit, ascending=ascending, startKey=start_key)
        return await self._list(command, Page[GroupRow], None, continued=fetch_more and start_key != "start")

    async def get_realtime_users(
        self,
        group: str | None = None,
        user_id: str | None = None,
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        start_key: StartKey | Literal["start"] | None = None,
        fetch_more: bool = False,
    ) -> Page[UserRow]:
        """List the connections in `group` (default: the joined one), or those of one user in it."""
        fields = {"group": group, "user_id": user_id}
        command = listing_command("users", **fields, limit=limit, ascending=ascending, startKey=start_key)
        scope = group if group is not None else self.group
        return await self._list(command, Page[UserRow], scope, continued=fetch_more and start_key != "start")

    # --- internals ---

    def _required(self) -> ReconnectingConnection:
        if self._connection is None:
            raise _not_connected()
        return self._connection

    async def _ask(self, call: Call) -> Any:
        connection = self._required()
        if connection.waiting >= MAX_CALLS:
            text = f"{MAX_CALLS} calls wait for their answers; await some before making more."
            raise CommandError(ErrorCode.RATE_LIMITED, text)
        return await connection.ask(call)

    async def _list(self, command: Command, kind: type[Page[Row]], scope: str | None, *, continued: bool) -> Page[Row]:
        async def ask(asked: Command) -> Page[Row]:
            page: Page[Row] = await self._ask(Call(asked, kind))
            return page

        return await self._queries.open(command, scope, continued=continued).next_page(command, ask)

    async def _run(self, connection: ReconnectingConnection) -> None:
        try:
            end = await connection.run()
        except Exception as failure:  # a bug of this client; calls must not wait until their timeouts because of it
            end = End(ErrorCode.INTERNAL, "", CommandError(ErrorCode.INTERNAL, f"The client failed: {failure!r}."))
            asyncio.get_running_loop().call_exception_handler({"message": "The client failed", "exception": failure})
        error = end.error or _closed(end)
        assert self._queue is not None
        self._queue.put(Problem(end.code, error.message))
        self._finish(connection, end._replace(error=error))

    def _finish(self, connection: ReconnectingConnection, end: End) -> None:
        """End for good: calls fail, and the group and the queries are forgotten."""
        assert end.error is not None
        assert self._queue is not None
        self._connection = self._running = self._calling_back = None
        self._queries.clear()
        connection.fail(end.error)
        self._queue.put(Closed(end.code))


def _closed(end: End) -> CommandError:
    if end.code == Close.ORIGIN:  # the reason names the origin and what to set
        return CommandError(ErrorCode.FORBIDDEN, f"The server refused the connection: {end.reason}.")
    return CommandError(ErrorCode.UNAVAILABLE, f"The server closed the connection ({end.code}: {end.reason}).")


def _not_connected() -> CommandError:
    text = "No realtime connection. Call connect_realtime(), or use `async with`, before this."
    return CommandError(ErrorCode.INVALID_REQUEST, text)
