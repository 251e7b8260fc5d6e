"""A client of a hub under test: it speaks the wire protocol, through the real session."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec

from hubbub.client.events import Event, Gap, Message, Notice, Private
from hubbub.client.results import Joined, Page, Sent
from hubbub.client.wire import Command, Recipient, Reply, encode, join_command, listing_command, post_command, read_frame, with_id
from hubbub.errors import CLOSE_RULES, Close
from hubbub.messages import GroupRow, Position, Restart, UserRow, Welcome
from hubbub.messages import Gap as ServerGap
from hubbub.testing.inbox import Inbox
from hubbub.testing.socket import Socket
from hubbub.testing.virtual_time import VirtualTime

ANSWER = 60.0
"""Seconds on the clock of the hub within which it answers a command: longer than a hook may wait and run."""

MESSAGE = 60.0
"""Seconds on the clock of the hub for which `TestUser.next` waits by default."""

CLOSE = 7200.0
"""Seconds on the clock of the hub for which `TestUser.wait_closed` waits by default: longer than tokens usually last."""


class TestUser:
    """One connection to a hub under test, made by `TestHub.guest`, `TestHub.user` or `TestHub.connect`.

    A call returns when the hub has answered and everything has happened that this caused: messages have arrived, and
    hooks that are only told have run. If the hub refuses, the call raises `hubbub.CommandError` with its code and text.
    """

    __test__ = False  # for pytest, which collects classes with such a name

    def __init__(self, clock: VirtualTime, name: str) -> None:
        self._clock = clock
        self._inbox = Inbox(clock, name)
        self._socket = Socket(self._read, self._closed)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._ended = asyncio.Event()
        self._welcome: Welcome | None = None
        self.group: str | None = None
        """The group that it has joined; None without one."""

    def __repr__(self) -> str:
        return f"<TestUser {self._inbox.name}>"

    # --- who it is ---

    @property
    def user_id(self) -> str:
        """The user's id, as others see it. That of a guest begins with ``guest:`` where tokens are accepted too."""
        return self._identity.user_id

    @property
    def connection_id(self) -> str:
        """The id of this connection."""
        return self._identity.connection_id

    @property
    def welcome(self) -> Welcome:
        """What the hub has answered to ``connect``."""
        return self._identity

    @property
    def closed(self) -> int | None:
        """The code that the connection was closed with: None while it is open, 1006 if it was lost."""
        return self._socket.code

    # --- what it does ---

    async def join(self, group: str, *, history: int = 0, since: Position | None = None) -> Joined:
        """Join a group, leaving the one before. The arguments are those of `hubbub.Client.join_realtime`."""
        joined = await self._ask(join_command(group, since, history), Joined)
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
    ) -> Sent:
        """Post JSON to the joined group, or to whom `to` names.

        The arguments are those of `hubbub.Client.post_realtime`; without a `key` none is sent.
        """
        recipient = to if to is not None else {"group": self.group or ""}
        return await self._ask(post_command(message, recipient, key, min_recipients), Sent)

    async def close(self) -> None:
        """Close the connection as a client does that leaves the page."""
        await self._end(Close.NORMAL)

    async def drop(self) -> None:
        """Lose the connection, without a closing handshake."""
        await self._end(1006)

    # --- what it hears ---

    @property
    def unread(self) -> tuple[Event, ...]:
        """What has arrived and was not taken by `next`, `next_notice` or `next_event`, in order."""
        return self._inbox.unread

    async def next(self, within: float = MESSAGE) -> Message | Private:
        """Take the next message, of the group or to this user. Notices stay unread.

        Args:
            within: Most seconds to wait, on the clock of the hub.

        Raises:
            AssertionError: None has come; the text says what has come instead.
        """
        return await self._inbox.take("message", (Message, Private), within)

    async def wait_closed(self, within: float = CLOSE) -> int:
        """Wait until the hub has closed the connection; return the code.

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

    @property
    def _identity(self) -> Welcome:
        assert self._welcome is not None, "not connected"
        return self._welcome

    async def _ask(self, command: Command, kind: Any) -> Any:
        if self._socket.code is not None:
            raise AssertionError(f"{self._inbox.name}: {_why(self._socket)}, so it cannot {command['do']}.")
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._socket.send(with_id(number, encode(command)).decode())
        try:
            async with asyncio.timeout(ANSWER):
                with self._clock.jumping():
                    reply = await self._waiting[number]
        except TimeoutError:
            raise AssertionError(f"{self._inbox.name}: no answer to {command['do']!r} within {ANSWER:g} s.") from None
        finally:
            del self._waiting[number]
        await self._clock.settle()
        if reply.error is not None:
            raise reply.error
        return msgspec.json.decode(reply.ok or b"", type=kind)

    async def _end(self, code: int) -> None:
        with self._clock.jumping():
            await self._socket.end(code)
        await self._clock.settle()

    def _read(self, text: str) -> None:
        frame = read_frame(text)
        if isinstance(frame, Reply):
            waiting = self._waiting.get(frame.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
        elif isinstance(frame, ServerGap):
            self._inbox.put(Gap(frame.sender_rid, None, frame.position))
        elif frame is not None and not isinstance(frame, Restart):
            self._inbox.put(frame)

    def _closed(self, code: int) -> None:
        why = _why(self._socket)
        self._inbox.end(why)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(AssertionError(f"{self._inbox.name}: {why}, before the answer came."))
        self._ended.set()


def _why(socket: Socket) -> str:
    code = socket.code
    text = socket.reason or (CLOSE_RULES[Close(code)].reason if code in set(Close) else "lost")
    return f"the connection was closed with {code} ({text})"
