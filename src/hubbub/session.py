"""One connection's commands: decode, check the rate, execute in order, answer. Pure: time is passed in.

Commands of one connection are executed one after the other, in the order in which they came. With a backend that never
waits each is finished before the next frame is read; otherwise it runs in a task and the commands behind it are queued.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from hubbub.auth.identity import Identity
from hubbub.command_queue import CommandQueue, Held
from hubbub.dialects.base import UNREADABLE, BadCommandError, Wire
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Command, Connect, Post, Reply, Success
from hubbub.session_lifetime import Link, SessionLifetime, SessionOwner

T = TypeVar("T")

log = logging.getLogger("hubbub.session")


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return its result; raise what it raises."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    work.close()
    raise RuntimeError("a coroutine that must not wait has waited")


class Replayed(NamedTuple):
    """A reply, and the frames that must be written to the connection right behind it."""

    reply: Reply
    frames: list[bytes]


class CommandRunner(Protocol):
    """What executes commands: `hubbub.commands.Commands`."""

    def execute(self, session: Session, command: Command) -> Coroutine[Any, Any, Reply | Replayed | None]:
        """Execute a command. Raises `CommandError`; None means that there is nobody left to answer."""
        ...

    def post_soon(self, session: Session, post: Post, done: Callable[[int | CommandError], object]) -> bool:
        """Start a post that waits for the backend but needs no task; false if it is one for `execute`.

        `done` gets its result, later. Raises `CommandError`; then `done` is not called.
        """
        ...

    def posted(self, session: Session, result: int | CommandError) -> None:
        """Count the result of a post that `post_soon` has started."""
        ...


class Operations(SessionOwner, Protocol):
    """What a session asks of the node."""

    @property
    def commands(self) -> CommandRunner:
        """What executes commands."""
        ...

    def post_now(self, session: Session, post: Post) -> int | None:
        """Execute a post that need not wait, and return its number of recipients; None if it is one for `execute`."""
        ...

    def waits(self, command: Command) -> bool:
        """Whether executing `command` may have to wait for something, so that it needs a task."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Run `work` in a task that is kept until it ends."""
        ...


class AdoptIdentity(Command):
    """A command of the transport itself: take on an identity that the opening handshake has proved.

    Without an identity, the app's ``on_connect`` is asked.
    """

    identity: Identity | None


_OPENING = (Connect, AdoptIdentity)


class Session(SessionLifetime):
    """One client's session: a `SessionLifetime` that executes commands. The arguments are the same."""

    __slots__ = ()
    _node: Operations

    def __init__(
        self, connection_id: str, wire: Wire, write: Callable[[bytes], object], link: Link, node: Operations, now: float
    ) -> None:
        super().__init__(connection_id, wire, write, link, node, now)

    def adopt(self, identity: Identity | None) -> None:
        """Identify the connection as `identity`, or as what the app's ``on_connect`` says."""
        self._run(AdoptIdentity(identity=identity), 0)

    def receive(self, payload: bytes, now: float) -> None:
        """Take one frame from the client: valid UTF-8, not longer than a command may be."""
        if self.closing:
            return
        read = self.wire.read
        try:
            command = read(payload)
        except UNREADABLE as error:
            self._refuse_frame(self.wire.dialect.refusal(payload, error), now)
            return
        if type(command) is Post:
            command.message = command.message.copy()  # otherwise a view of the frame, which would keep all of it
        elif command is None:
            self.silent = now + self.wire.dialect.silence
            self.waste(now)
            return
        rate = self._rate
        if rate is not None and not rate.take(now):
            self._refuse(command.id, _RATE_LIMITED)
            self.waste(now)
        elif self._busy:
            self._enqueue(command, len(payload))
        elif self.identity is None and type(command) is not Connect:
            self._refuse(command.id, _NOT_IDENTIFIED)
        elif type(command) is Post:  # the most frequent command: without a coroutine, if that is possible
            post_now = self._node.post_now
            try:
                recipients = post_now(self, command)
                if recipients is None:
                    self._run(command, len(payload))
                elif command.id is not None and (answer := self.wire.sent(command.id, recipients)) is not None:
                    outbox, lane = self.outbox, self.lane
                    if outbox and lane is not None and not lane.shared:
                        outbox.append(answer)  # what `Fanout.send` would do: the post itself is in the outbox
                    else:
                        self._node.fanout.send(self, answer)
            except CommandError as error:
                self._refuse(command.id, error)
            except Exception:
                self._fail(command)
        else:
            self._run(command, len(payload))

    # --- commands, one after the other ---

    def _run(self, command: Command, size: int) -> None:
        try:
            if self._node.waits(command):
                if self._queue is None:
                    self._queue = CommandQueue()
                held = self._queue.hold(command, size, self.budget)
                self._busy = True
                if not self._start(held):
                    self._go_on(held, self._queue)
            else:
                self._answer(command.id, run_now(self._node.commands.execute(self, command)))
        except CommandError as error:
            self._refuse(command.id, error)
        except Exception:
            self._fail(command)

    def _start(self, held: Held) -> bool:
        """Begin a command that may wait; return false if it was refused at once."""
        command = held.command
        try:
            if type(command) is Post and self._node.commands.post_soon(self, command, partial(self._posted, held)):
                return True
        except CommandError as error:
            self._node.commands.posted(self, error)
            self._refuse(command.id, error)
            return False
        except Exception:
            self._fail(command)
            return False
        self._node.spawn(self._wait_for(held))
        return True

    def _go_on(self, held: Held, queue: CommandQueue) -> None:
        """Note that a command is done, and begin the next one. The queue of a lost connection is empty."""
        while (following := queue.finish(held)) is not None:
            if self._start(following):
                return
            held = following
        self._busy = False
        if self.gone:
            self._node.ended(self)

    def _posted(self, held: Held, result: int | CommandError) -> None:
        """Answer a post that `Commands.post_soon` has started."""
        command_id = held.command.id
        self._node.commands.posted(self, result)
        if isinstance(result, CommandError):
            self._refuse(command_id, result)
        elif command_id is not None and not self.closing and (answer := self.wire.sent(command_id, result)):
            outbox, lane = self.outbox, self.lane
            if outbox and lane is not None and not lane.shared:
                outbox.append(answer)  # as in `receive`
            else:
                self._node.fanout.send(self, answer)
        assert self._queue is not None  # it has held the post
        self._go_on(held, self._queue)

    async def _wait_for(self, held: Held) -> None:
        await self._perform(held.command)
        app = self.app
        while app is not None and app.after:
            await app.after.pop(0)
        assert self._queue is not None  # it has held the command
        self._go_on(held, self._queue)

    async def _perform(self, command: Command) -> None:
        if self.identity is None and not isinstance(command, _OPENING):
            self._refuse(command.id, _NOT_IDENTIFIED)
            return
        try:
            self._answer(command.id, await self._node.commands.execute(self, command))
        except CommandError as error:
            self._refuse(command.id, error)
        except Exception:
            self._fail(command)

    def _enqueue(self, command: Command, size: int) -> None:
        assert self._queue is not None  # there is one since the running command
        try:
            self._queue.add(command, size, self.budget)
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
            if type(reply) is Success and reply.recipients is not None:
                data = self.wire.sent(command_id, reply.recipients)
            else:
                data = self.wire.reply(command_id, cast(Reply, reply))
            if data is not None:
                self._node.fanout.send(self, data)
        for frame in frames:
            self._node.fanout.send(self, frame)

    def _refuse_frame(self, error: BadCommandError, now: float) -> None:
        if self._rate is None or self._rate.take(now):
            self._node.fanout.send(self, self.wire.error(error.id, error))
        else:
            self._refuse(error.id, _RATE_LIMITED)
            self.waste(now)

    def _refuse(self, command_id: int | None, error: CommandError) -> None:
        if command_id is not None and not self.closing:
            self._node.fanout.send(self, self.wire.error(command_id, error))

    def _fail(self, command: Command) -> None:
        log.exception("command %s failed", type(command).__name__.lower())
        self._refuse(command.id, _INTERNAL)


_RATE_LIMITED = CommandError(ErrorCode.RATE_LIMITED, "Too many commands: slow down and send it again later.")
_NOT_IDENTIFIED = CommandError(ErrorCode.UNAUTHORIZED, 'Send {"do":"connect"} with a token first.')
_INTERNAL = CommandError(ErrorCode.INTERNAL, "Something went wrong in the server; its log has the details.")
