"""``TestUser``: a client of a hub under test. It speaks the wire protocol, and is served by a real session."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, TypeVar, get_args

import msgspec
from starlette.types import ASGIApp, Scope

from hubbub.client.events import Event, Gap, Message, Notice, Private
from hubbub.client.results import Joined, Page, Sent
from hubbub.client.wire import (
    Command,
    LiveEvent,
    Recipient,
    Reply,
    encode,
    join_command,
    listing_command,
    post_command,
    read_frame,
    with_id,
)
from hubbub.errors import CLOSE_RULES, Close, CommandError, ErrorCode, HubError
from hubbub.messages import Gap as ServerGap
from hubbub.messages import GroupRow, Order, Position, Posted, Restart, UserRow, Welcome
from hubbub.testing.client_socket import Socket
from hubbub.testing.inbox import Inbox
from hubbub.testing.virtual_time import VirtualTime

ANSWER = 60.0
"""Seconds on the clock of the hub within which it answers a command: longer than a hook may wait and run."""

MESSAGE = 60.0
"""Seconds on the clock of the hub for which `TestUser.next` waits by default."""

CLOSE = 7200.0
"""Seconds on the clock of the hub for which `TestUser.wait_closed` waits: longer than tokens usually last."""

LOST = 1006
"""The code of a connection that ended without a closing handshake (RFC 6455, section 7.1.5)."""

T = TypeVar("T")

_EVENTS: tuple[type[Event], ...] = get_args(Event)


class TestUser:
    """One connection to a hub under test; made by `TestHub.guest`, `TestHub.user` and `TestHub.connect`.

    A call returns when the hub has answered and everything has happened that the call has caused: others have their
    messages, and hooks that are only told have run. If the hub refuses, the call raises `hubbub.CommandError` with the
    code and the text that a client gets.

    Attributes:
        group: The group that it has joined; None without one.
    """

    __test__ = False  # for pytest, which collects classes with such a name

    def __init__(self, clock: VirtualTime) -> None:
        self._clock = clock
        self._inbox = Inbox(clock, "a client")
        self._socket = Socket(self._receive, self._has_closed)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._ended = asyncio.Event()
        self._welcome: Welcome | None = None
        self.group: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._inbox.name}>"

    @property
    def user_id(self) -> str:
        """The user's id, as others see it. That of a guest begins with ``guest:`` where tokens are accepted too."""
        return self._identified().user_id

    @property
    def connection_id(self) -> str:
        """The id of this connection."""
        return self._identified().connection_id

    @property
    def closed(self) -> int | None:
        """The code that the connection was closed with; None while it is open, 1006 if it was lost."""
        return self._socket.code

    # --- what it does ---

    async def join(
        self,
        group: str,
        *,
        history: int = 0,
        since: Position | None = None,
        notices: bool = True,
        invisible: bool = False,
    ) -> Joined:
        """Join a group, leaving the one before. The arguments are those of `hubbub.Client.join_realtime`."""
        command = join_command(group, since, history, notices=notices, invisible=invisible)
        joined = await self._ask(command, Joined)
        self.group = group
        return joined

    async def leave(self) -> Joined:
        """Leave the group."""
        left = await self._ask(join_command(None), Joined)
        self.group = None
        return left

    async def post(
        self,
        message: Any,
        to: Recipient | None = None,
        *,
        key: str | None = None,
        min_recipients: int | None = None,
        keep: bool = True,
        echo: bool = True,
    ) -> Sent:
        """Post JSON to the joined group.

        Args:
            message: Any JSON value.
            to: Instead, post to this recipient, as in `hubbub.Client.post_realtime`: ``{"user_id": "bob"}``.
            key: Posts with the same key, user and recipient are delivered once. By default none is sent.
            min_recipients: Be refused with ``INVALID_REQUEST`` if fewer connections would receive it.
            keep: If false, it has no number and is in no history.
            echo: If false, this connection does not receive it.

        Raises:
            HubError: It is in no group, and `to` names no recipient.
        """
        if to is None:
            if self.group is None:
                raise HubError(f"{self._inbox.name} is in no group: join one, or say to whom it posts.")
            to = {"group": self.group}
        return await self._ask(post_command(message, to, key, min_recipients, keep=keep, echo=echo), Sent)

    async def groups(
        self,
        search_for: Order | None = None,
        value: str | float | None = None,
        condition: str | None = None,
        *,
        limit: int | None = None,
    ) -> Page[GroupRow]:
        """List or search the groups that the user may see, as `hubbub.Client.get_realtime_groups`."""
        fields = {"searchFor": search_for, "value": value, "condition": condition, "limit": limit}
        return await self._ask(listing_command("groups", **fields), Page[GroupRow])

    async def users(self, group: str | None = None, *, limit: int | None = None) -> Page[UserRow]:
        """List the connections in `group`, or in the joined one, as `hubbub.Client.get_realtime_users`."""
        return await self._ask(listing_command("users", group=group, limit=limit), Page[UserRow])

    async def renew(self, token: str) -> None:
        """Go on with a fresh token of the same user, such as `TestHub.token` returns."""
        self._welcome = await self._ask({"do": "connect", "token": token}, Welcome)

    async def close(self) -> None:
        """Close the connection, as a client does that needs it no more."""
        await self._end(Close.NORMAL)

    async def drop(self) -> None:
        """Lose the connection, as a client does whose network is gone."""
        await self._end(LOST)

    # --- what it hears ---

    @property
    def unread(self) -> tuple[Event, ...]:
        """What has arrived and was not taken by `next`, `next_notice` or `next_event`, in order."""
        return self._inbox.unread

    async def next(self, within: float = MESSAGE) -> Message | Private:
        """Take the next message, to the group or to this user. Other events stay unread.

        Args:
            within: Most seconds to wait, on the clock of the hub.

        Raises:
            AssertionError: None has come; the text says what has come instead.
        """
        return await self._inbox.take("message", (Message, Private), within)

    async def next_notice(self, within: float = MESSAGE) -> Notice:
        """Take the next notice that somebody has joined or left. Other events stay unread. Else as `next`."""
        return await self._inbox.take("notice", Notice, within)

    async def next_event(self, within: float = MESSAGE) -> Event:
        """Take whatever has come first: a message, a notice or a gap. Else as `next`."""
        return await self._inbox.take("event", _EVENTS, within)

    async def wait_closed(self, within: float = CLOSE) -> int:
        """Wait until the connection is closed; return the code.

        Args:
            within: Most seconds to wait, on the clock of the hub.

        Raises:
            AssertionError: It is still open.
        """
        try:
            async with asyncio.timeout(within):
                with self._clock.jumping():
                    await self._ended.wait()
        except TimeoutError:
            raise AssertionError(f"{self._inbox.name}: the connection was not closed within {within:g} s.") from None
        await self._clock.settle()
        assert self._socket.code is not None
        return self._socket.code

    # --- inside ---

    async def _connect(self, app: ASGIApp, scope: Scope, command: Command) -> None:
        """Open the connection and identify it. Raises `CommandError` if the hub refuses."""
        with self._clock.jumping():
            await self._socket.open(app, scope)
        await self._clock.settle()
        if self.closed == Close.ORIGIN:  # a page cannot read the answer to a refused handshake, so it is told now
            raise CommandError(ErrorCode.FORBIDDEN, f"The server refused the connection: {self._socket.reason}.")
        self._welcome = await self._ask(command, Welcome)
        self._inbox.name = self._welcome.user_id

    def _identified(self) -> Welcome:
        assert self._welcome is not None
        return self._welcome

    async def _ask(self, command: Command, kind: type[T]) -> T:
        """Send a command and return the answer, once everything has happened that it has caused."""
        if self.closed is not None:
            raise HubError(f'{self._inbox.name}: {self._why_closed()}: connect again before "{command["do"]}".')
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._socket.send(with_id(number, encode(command)).decode())
        try:
            async with asyncio.timeout(ANSWER):
                with self._clock.jumping():
                    reply = await self._waiting[number]
        except TimeoutError:
            raise HubError(f'{self._inbox.name}: no answer to "{command["do"]}" within {ANSWER:g} s.') from None
        finally:
            del self._waiting[number]
        await self._clock.settle()
        if reply.ok is None:
            assert reply.error is not None
            raise reply.error
        return msgspec.json.decode(reply.ok, type=kind)

    async def _end(self, code: int) -> None:
        with self._clock.jumping():
            await self._socket.end(code)
        await self._clock.settle()

    def _receive(self, text: str) -> None:
        frame = read_frame(text)
        if isinstance(frame, Reply):
            waiting = self._waiting.get(frame.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
        elif isinstance(frame, ServerGap):
            self._inbox.put(Gap(frame.sender_rid, None, frame.position))
        elif frame is not None and not isinstance(frame, LiveEvent | Posted | Restart):
            self._inbox.put(frame)

    def _has_closed(self) -> None:
        why = self._why_closed()
        self._inbox.end(why)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(HubError(f"{self._inbox.name}: {why}, before the answer came."))
        self._ended.set()

    def _why_closed(self) -> str:
        code = self._socket.code
        known = CLOSE_RULES[Close(code)].reason if code in set(Close) else "lost"
        return f"the connection was closed with {code} ({self._socket.reason or known})"
