"""What programs use: the spec page's six methods in snake_case, and the events."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any, Literal

from hubbub.client.connection import Call, End
from hubbub.client.event_queue import EventQueue
from hubbub.client.events import Closed, Event, Problem
from hubbub.client.paging import Pages
from hubbub.client.reconnecting import ReconnectingConnection, Target, Token
from hubbub.client.results import Joined, Page, Row, Sent, StartKey
from hubbub.client.wire import Command, Recipient, listing_command, post_command
from hubbub.errors import Close, CommandError, ErrorCode, invalid
from hubbub.messages import Condition, GroupRow, Order, Position, UserRow

MAX_CALLS = 1000
"""Most calls that wait for their answers at a time."""


def connect(
    url: str,
    *,
    token: Token | None = None,
    guest: str | None = None,
    on_event: Callable[[Event], object] | None = None,
    timeout: float = 10.0,
    connect_timeout: float | None = 10.0,
    max_events: int = 10_000,
    tls: ssl.SSLContext | None = None,
) -> Client:
    """Return a client of the server at `url`, for ``async with`` or ``await``, which connect it.

    Args:
        url: The server's address (``http``, ``https``, ``ws`` or ``wss``); a path before ``/v1/connect`` is kept.
        token: Who we are: a token, or a function, perhaps async, that returns a fresh one. It is called before each
            attempt to connect, and shortly before the present token ends.
        guest: Or a name, where the server lets guests in.
        on_event: Called with every event, one after the other; may be async. Without it, events are read with
            ``async for event in client``.
        timeout: Seconds that a call waits for its answer.
        connect_timeout: Seconds to wait for the first connection; None: as long as it takes.
        max_events: Most events that wait to be read or handled. Of more, the newest are dropped, and a `Problem` with
            the code ``EVENTS_LOST`` stands in their place.
        tls: How the server's certificate is checked; None for the system's way.

    Raises:
        CommandError: ``INVALID_PARAMETER``: the address is none, or not exactly one of `token` and `guest` is given.
    """
    if max_events < 1:
        raise invalid('"max_events" must be at least 1.')
    return Client(Target(url, token, guest, timeout, tls), on_event, connect_timeout, max_events)


class Client:
    """A client of one server; made by `connect`.

    All methods raise `hubbub.CommandError`: with the server's code and text; with ``UNAVAILABLE`` when there is no
    answer in time (a post may or may not have arrived then) or the connection is over for good; with
    ``INVALID_REQUEST`` when not connected with `connect_realtime`. Calls made while the connection is away wait for it.
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
        self._keeping: asyncio.Task[None] | None = None
        self._handling: asyncio.Task[None] | None = None
        self._pages = Pages()
        self._session = secrets.token_urlsafe(9)  # with a number it makes the keys of posts
        self._numbers = itertools.count(1)

    # --- what is the matter ---

    @property
    def state(self) -> str:
        """``closed``, ``connecting``, ``connected`` or ``reconnecting``."""
        return self._connection.state if self._connection else "closed"

    @property
    def user_id(self) -> str | None:
        """Who we are to the server; None before the first connection."""
        return self._connection.welcome.user_id if self._connection and self._connection.welcome else None

    @property
    def connection_id(self) -> str | None:
        """The id of the present connection; None while there is none."""
        return self._connection.welcome.connection_id if self.state == "connected" and self._connection else None  # type: ignore[union-attr]

    @property
    def group(self) -> str | None:
        """The joined group."""
        return self._connection.positions.group if self._connection else None

    @property
    def position(self) -> Position | None:
        """The position of the last message of the group that was heard; None without one."""
        return self._connection.positions.position if self._connection else None

    # --- connecting ---

    async def connect_realtime(self) -> None:
        """Connect, and stay connected until `close_realtime`.

        Raises:
            CommandError: The server refused; or ``UNAVAILABLE``, there was no connection within `connect_timeout`.
        """
        if self._connection is None:
            self._queue = EventQueue(self._max_events)
            self._connection = ReconnectingConnection(self._target, self._queue.put)
            self._keeping = asyncio.create_task(self._keep(self._connection))
            if self._on_event:
                self._handling = asyncio.create_task(self._handle(self._queue, self._on_event))
        keeper = self._connection
        try:
            async with asyncio.timeout(self._connect_timeout):
                await asyncio.shield(keeper.connected)
        except TimeoutError:
            await self.close_realtime()
            text = f"No connection within {self._connect_timeout:g} s: {keeper.trouble}"
            raise CommandError(ErrorCode.UNAVAILABLE, text) from None

    async def close_realtime(self) -> None:
        """Close the connection; the group is forgotten, and calls that wait fail. Does nothing when there is none."""
        if self._connection is None or self._keeping is None:
            return
        keeping, handling = self._keeping, self._handling
        error = CommandError(ErrorCode.UNAVAILABLE, "The connection was closed by close_realtime().")
        self._finish(self._connection, End(int(Close.NORMAL), "closed", error))
        keeping.cancel()
        await asyncio.wait([keeping])
        if handling and handling is not asyncio.current_task():  # the handler itself may close the client
            await asyncio.wait([handling])

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
        """Give the events since `connect_realtime`, and end after `Closed`. They are given once, to one reader."""
        if self._on_event:
            raise CommandError(ErrorCode.INVALID_REQUEST, "The events go to on_event.")
        if self._queue is None:
            raise _not_connected()
        while event := await self._queue.get():
            yield event

    # --- commands ---

    async def join_realtime(self, group: str | None, *, history: int = 0, since: Position | None = None) -> Joined:
        """Enter a group, leaving the one before; None and ``""`` only leave.

        Args:
            group: Its name.
            history: How many of the last messages to hear, if the server still has so many.
            since: Hear everything after this position of an earlier visit instead; a `Gap` comes first if that is not
                possible. After a reconnect the client does so by itself.
        """
        joined: Joined = await self._ask(self._running().join(group, since, history))
        return joined

    async def post_realtime(
        self, message: Any, recipient: Recipient, *, key: str | None = None, min_recipients: int | None = None
    ) -> Sent:
        """Send any JSON value to the own group or to a user. Without an answer it is sent again, and delivered once.

        Args:
            message: None, bool, int, float, str, list, tuple, or dict with text as keys.
            recipient: A name, which means the joined group if it is called that, otherwise a user; or exactly
                ``{"group": …}`` or ``{"user_id": …}``.
            key: Names this post: the server does it once for this user and recipient, within its window. Each post has
                a key of its own if none is given.
            min_recipients: Fail with ``INVALID_REQUEST``, and deliver nothing, if fewer connections would hear it.
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
        """List or search the groups. All parameters as on the spec page.

        Args:
            search_for: ``"group"``, by name, or ``"number_of_users"``.
            value: The name or number to compare with.
            condition: How to compare; ``>=`` on names means "starts with".
            range: The other end of a range, in place of `condition`.
            limit: Rows of a page, 1 to 1000; 50.
            ascending: False lists downwards.
            start_key: Begin behind this start key of an earlier page.
            fetch_more: Go on where the last page of the same query stopped.
        """
        fields = {"searchFor": search_for, "value": value, "condition": condition, "range": range}
        command = listing_command("groups", **fields, limit=limit, ascending=ascending, startKey=start_key)
        return await self._list(command, Page[GroupRow], None, goes_on=fetch_more and start_key != "start")

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
        return await self._list(command, Page[UserRow], scope, goes_on=fetch_more and start_key != "start")

    # --- inside ---

    def _running(self) -> ReconnectingConnection:
        if self._connection is None:
            raise _not_connected()
        return self._connection

    async def _ask(self, call: Call) -> Any:
        keeper = self._running()
        if keeper.waiting >= MAX_CALLS:
            raise CommandError(ErrorCode.RATE_LIMITED, f"More than {MAX_CALLS} calls wait for their answers.")
        return await keeper.ask(call)

    async def _list(self, command: Command, kind: type[Page[Row]], scope: str | None, *, goes_on: bool) -> Page[Row]:
        async def ask(asked: Command) -> Page[Row]:
            page: Page[Row] = await self._ask(Call(asked, kind))
            return page

        return await self._pages.open(command, scope, goes_on=goes_on).next_page(command, ask)

    async def _keep(self, keeper: ReconnectingConnection) -> None:
        try:
            end = await keeper.run()
        except Exception as mishap:  # nobody must wait for ever because of it
            end = End(ErrorCode.INTERNAL, "", CommandError(ErrorCode.INTERNAL, f"The client failed: {mishap!r}."))
            asyncio.get_running_loop().call_exception_handler({"message": "The client failed", "exception": mishap})
        text = f"The server closed the connection ({end.code}: {end.reason})."
        error = end.error or CommandError(ErrorCode.UNAVAILABLE, text)
        assert self._queue is not None
        self._queue.put(Problem(end.code, error.message))
        self._finish(keeper, end._replace(error=error))

    def _finish(self, keeper: ReconnectingConnection, end: End) -> None:
        """End for good: nothing waits any more, nothing comes back, nothing is remembered."""
        assert end.error is not None
        assert self._queue is not None
        self._connection = self._keeping = self._handling = None
        self._pages.clear()
        keeper.fail(end.error)
        self._queue.put(Closed(end.code))

    @staticmethod
    async def _handle(feed: EventQueue, on_event: Callable[[Event], object]) -> None:
        """Hand on the events. What goes wrong there is reported to the loop, and changes nothing here."""
        while event := await feed.get():
            try:
                result = on_event(event)
                if inspect.isawaitable(result):
                    await result
            except (Exception, asyncio.CancelledError) as error:  # as asyncio does with its own callbacks
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise  # we are, not something that the handler waited for
                text = f"Exception in on_event({event.type!r})"
                asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _not_connected() -> CommandError:
    text = "No realtime connection. Call connect_realtime(), or use `async with`, before this."
    return CommandError(ErrorCode.INVALID_REQUEST, text)
