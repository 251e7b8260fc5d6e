"""One connection's life: identify, run commands in order, keep to the limits, end. Pure: time is passed in.

=============  =======================================================================================
state          what may happen
=============  =======================================================================================
unidentified   only ``connect`` is answered; after ``identify_timeout`` it is closed with 4001
identified     every command; pings; ends with its token (4002) unless a new one came
closing        a close frame is on its way; commands are ignored; cut when the other side takes too long
gone           the transport has lost it; the backend is told, once, after the command that was running
=============  =======================================================================================

Commands of one connection run one after the other, in the order in which they came. With a backend that never waits
each is finished before the next frame is looked at; otherwise it runs in a task and the frames behind it queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from hubbub.auth.identity import Identity
from hubbub.command_queue import Held, Waiting
from hubbub.dialects.base import BadCommandError, Wire
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.fanout import Connection
from hubbub.messages import Command, Connect, Post, Reply, UserRow
from hubbub.rate_limit import Rate
from hubbub.settings import Settings
from hubbub.time_budget import Budgets

CLOSE_TIMEOUT = 3.0
"""Seconds that the other side has to answer a close frame before the connection is cut."""

SLOW_TIMEOUT = 1.0
"""The same for who reads too slowly, and will not come to the close frame in any time."""

NEVER = float("inf")

T = TypeVar("T")

log = logging.getLogger("hubbub.session")


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return its result; raise what it raises."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    work.close()
    raise RuntimeError("an operation waited that was said not to")


class Replayed(NamedTuple):
    """A reply, and the frames that the connection has to hear right behind it."""

    reply: Reply
    frames: list[bytes]


class Operations(Protocol):
    """What a session asks of the node."""

    settings: Settings
    budgets: Budgets

    def waits(self, command: Command) -> bool:
        """Whether `execute` may wait for something, so that it needs a task."""
        ...

    def execute(self, session: Session, command: Command) -> Coroutine[Any, Any, Reply | Replayed | None]:
        """Do what the command says. Raises `CommandError`; None means that there is nothing to answer any more."""
        ...

    def post_now(self, session: Session, post: Post) -> int | None:
        """Do a post that need not wait, and return its number of recipients; None if it is one for `execute`."""
        ...

    def send(self, session: Session, data: bytes) -> None:
        """Queue `data` behind everything that the connection was to hear before."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Run `work` in a task that is kept until it ends."""
        ...

    def silence(self, session: Session) -> None:
        """Take the session out of the fan-out, because its close frame is next; what was queued before still leaves."""
        ...

    def lost(self, session: Session) -> None:
        """Take the session out of the fan-out: nothing may be written to it from now on."""
        ...

    def ended(self, session: Session) -> None:
        """Take the session out of the backend, at once or in a task. Called after `lost`, when no command runs."""
        ...


class Link(Protocol):
    """What a session asks of its transport."""

    def close(self, code: Close) -> None:
        """Start the closing handshake, behind everything that was sent before."""
        ...

    def ping(self) -> None:
        """Send a ping."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


class AdoptIdentity(Command):
    """A command of the transport itself: take on an identity that the opening handshake has proved."""

    identity: Identity


_OPENING = (Connect, AdoptIdentity)


class Session(Connection):
    """A connection and its state. `deadline` is when `tick` has something to do, on the clock of `now`, seconds."""

    # fmt: off
    __slots__ = (
        "_busy", "_node", "_rate", "_time_left", "_waiting", "budget",
        "closing", "deadline", "expires", "gone", "heard", "identity", "link", "paused", "pinged", "silent",
    )
    # fmt: on
    wire: Wire

    def __init__(
        self, connection_id: str, wire: Wire, write: Callable[[bytes], object], link: Link, node: Operations, now: float
    ) -> None:
        super().__init__(connection_id, wire, write)
        self.link = link
        self.identity: Identity | None = None
        self.expires = NEVER
        self.silent = NEVER
        self.deadline = now + node.settings.identify_timeout
        self.heard = True
        self.pinged = False
        self.closing = False
        self.gone = False
        self._node = node
        self._busy = False
        self._waiting: Waiting | None = None
        self._rate = Rate(node.settings.rate_limit, node.settings.rate_burst, now)
        self.budget = node.budgets.unidentified
        self.paused = False
        self._time_left = NEVER

    @property
    def row(self) -> UserRow:
        """The connection as it stands in listings."""
        return UserRow(self.user_id, self.connection_id)

    def identified(self, identity: Identity, expires: float, now: float) -> None:
        """Take on an identity, or a fresh one of the same user, until `expires` on the clock of `now`."""
        if self.identity is None:
            self.budget = self._node.budgets.enter(identity.user_id)
        self.identity = identity
        self.user_id = identity.user_id
        self.expires = expires
        if not self.closing:
            self.deadline = min(expires, now + self._node.settings.ping_interval)

    def adopt(self, identity: Identity) -> None:
        """Let the node take the connection in as `identity`."""
        self._run(AdoptIdentity(identity=identity), 0)

    def receive(self, payload: bytes, now: float) -> None:
        """Take one frame from the client: valid UTF-8, not longer than a command may be."""
        if self.closing:
            return
        try:
            command = self.wire.decode(payload)
        except BadCommandError as error:
            if self._rate.take(now):
                self._node.send(self, self.wire.error(error.id, error))
            else:
                self._refuse(error.id, _RATE_LIMITED)
                self.waste(now)
            return
        if command is None:
            self.silent = now + self.wire.dialect.silence
            self.waste(now)
            return
        if not self._rate.take(now):
            self._refuse(command.id, _RATE_LIMITED)
            self.waste(now)
        elif self._busy:
            self._queue(command, len(payload))
        elif self.identity is None and type(command) is not Connect:
            self._refuse(command.id, _WHO)
        else:
            self._run(command, len(payload))

    def pause(self, now: float) -> None:
        """The transport has stopped to read, because the budget is used up: until `resume` silence means nothing."""
        if not self.paused:
            self.paused = True
            if self.identity is None and not self.closing:
                self._time_left, self.deadline = self.deadline - now, NEVER

    def resume(self, now: float) -> None:
        """The transport reads again."""
        self.paused, self.heard = False, True
        if self.silent != NEVER:
            self.silent = now + self.wire.dialect.silence
        if self.identity is None and not self.closing:
            self.deadline = now + self._time_left

    def waste(self, now: float) -> None:
        """Count a frame that costs time and does nothing: refused by the rate limit, a control frame, a tiny fragment.

        A few are normal. Who sends `PATIENCE` times as many as it may send commands, at once or in the long run, is
        closed with 4007; who goes on then is cut.
        """
        if self._rate.waste(now):
            if self.closing:
                self.link.abort()
            else:
                self.close(Close.FLOODING, now)

    def tick(self, now: float) -> None:
        """Do what is due at `deadline`: close the unidentified, expired and silent, ping the idle."""
        if now < self.deadline:
            return
        if self.closing:
            self.link.abort()
        elif self.identity is None:
            self.close(Close.NOT_IDENTIFIED, now)
        elif now >= self.expires:
            self.close(Close.TOKEN_EXPIRED, now)
        elif ((self.pinged and not self.heard) or now >= self.silent) and not self.paused:
            self.close(Close.PING_TIMEOUT, now)
        else:
            self.pinged = not self.heard
            if self.pinged:
                self.link.ping()
            self.heard = False
            self.deadline = min(self.expires, now + self._node.settings.ping_interval)

    def close(self, code: Close, now: float) -> None:
        """End the connection with `code`; what was sent before still leaves.

        Commands that wait are still done, as they came before the end, unless the right to them is what has ended.
        """
        if not self.closing:
            if code in _RIGHTS_ENDED and self._waiting is not None:
                self._waiting.clear()
            self.ending(now, SLOW_TIMEOUT if code is Close.TOO_SLOW else CLOSE_TIMEOUT)
            self.link.close(code)

    def ending(self, now: float, timeout: float = CLOSE_TIMEOUT) -> None:
        """The closing handshake has begun: new commands are ignored, and nothing more is delivered.

        The other side may take its time to answer the close frame. What its groups and its user are told meanwhile is
        not for it: its rights may be what has ended (4002, 4003).
        """
        self.closing = True
        self._node.silence(self)
        self.deadline = now + timeout

    def lost(self) -> None:
        """The transport has lost the connection. Calling it again changes nothing."""
        if not self.gone:
            self.gone = self.closing = True
            if self._waiting is not None:
                self._waiting.clear()
            self._node.lost(self)
            if not self._busy:
                self._node.ended(self)

    # --- commands, one after the other ---

    def _run(self, command: Command, size: int) -> None:
        try:
            recipients = self._node.post_now(self, command) if type(command) is Post else None
            if recipients is not None:
                if command.id is not None and (answer := self.wire.sent(command.id, recipients)) is not None:
                    self._node.send(self, answer)
            elif self._node.waits(command):
                if self._waiting is None:
                    self._waiting = Waiting()
                held = self._waiting.hold(command, size, self.budget)
                self._busy = True
                self._node.spawn(self._run_waiting(held, self._waiting))
            else:
                self._answer(command.id, run_now(self._node.execute(self, command)))
        except CommandError as error:
            self._refuse(command.id, error)
        except Exception:
            self._fail(command)

    async def _run_waiting(self, held: Held | None, waiting: Waiting) -> None:
        while held is not None:
            await self._perform(held.command)
            waiting.done(held)
            held = None if self.gone else waiting.next()
        self._busy = False
        if self.gone:
            self._node.ended(self)

    async def _perform(self, command: Command) -> None:
        if self.identity is None and not isinstance(command, _OPENING):
            self._refuse(command.id, _WHO)
            return
        try:
            self._answer(command.id, await self._node.execute(self, command))
        except CommandError as error:
            self._refuse(command.id, error)
        except Exception:
            self._fail(command)

    def _queue(self, command: Command, size: int) -> None:
        assert self._waiting is not None  # there is one since the command that runs
        try:
            self._waiting.add(command, size, self.budget)
        except CommandError as error:
            self._refuse(command.id, error)

    # --- answers ---

    def _answer(self, command_id: int | None, reply: Reply | Replayed | None) -> None:
        frames: list[bytes] = []
        if type(reply) is Replayed:
            reply, frames = reply
        if self.closing:  # no data may follow a close frame (RFC 6455, section 5.5.1)
            return
        if command_id is not None and reply is not None:
            data = self.wire.reply(command_id, cast(Reply, reply))
            if data is not None:
                self._node.send(self, data)
        for frame in frames:
            self._node.send(self, frame)

    def _refuse(self, command_id: int | None, error: CommandError) -> None:
        if command_id is not None and not self.closing:
            self._node.send(self, self.wire.error(command_id, error))

    def _fail(self, command: Command) -> None:
        log.exception("command %s failed", type(command).__name__.lower())
        self._refuse(command.id, _INTERNAL)


_RIGHTS_ENDED = frozenset((Close.TOKEN_EXPIRED, Close.DISCONNECTED))
_RATE_LIMITED = CommandError(ErrorCode.RATE_LIMITED, "Too many commands: slow down.")
_WHO = CommandError(ErrorCode.UNAUTHORIZED, 'Send {"do":"connect"} with a token first.')
_INTERNAL = CommandError(ErrorCode.INTERNAL, "Something went wrong in the server; its log has the details.")
