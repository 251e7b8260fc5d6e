"""The queued commands of one connection, and the running one: bounded in number and in bytes. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Command, Groups, Users
from hubbub.time_budget import TimeBudget

MAX_QUEUED = 256
"""Most queued commands of one connection; further ones are refused."""

MAX_QUEUED_BYTES = 1_048_576
"""Most bytes of one connection's commands, including the running one."""

OVERHEAD = 512
"""Bytes that a command counts in addition to its frame: its struct, and the task that it may run in."""

OBJECTS = 32
"""Most bytes of memory for each byte of a cursor: a cursor is decoded to Python objects, a message is not."""

_LISTINGS = (Groups, Users)


class Held(msgspec.Struct, frozen=True, gc=False):
    """A command, how many bytes it counts until `CommandQueue.done`, and in which budget."""

    command: Command
    weight: int
    budget: TimeBudget


class CommandQueue:
    """The commands of one connection, in the order in which they came."""

    __slots__ = ("_bytes", "_commands")

    def __init__(self) -> None:
        self._bytes = 0
        self._commands: deque[Held] = deque()

    def hold(self, command: Command, size: int, budget: TimeBudget) -> Held:
        """Count a command whose frame had `size` bytes, until it is `done`.

        Raises:
            CommandError: ``RATE_LIMITED``, the connection or its user has too many bytes of commands already.
        """
        weight = OVERHEAD + size
        if isinstance(command, _LISTINGS) and command.start_key:
            weight += size * (OBJECTS - 1)
        # A single command is never refused for its size: retrying would not help.
        if self._bytes and self._bytes + weight > MAX_QUEUED_BYTES:
            raise _full("this connection", MAX_QUEUED_BYTES)
        if budget.bytes and budget.bytes + weight > budget.most_bytes:
            raise _full("this user's connections", budget.most_bytes)
        self._bytes += weight
        budget.bytes += weight
        return Held(command, weight, budget)

    def add(self, command: Command, size: int, budget: TimeBudget) -> None:
        """Queue a command. Raises `CommandError` ``RATE_LIMITED``: too many are queued, or too many bytes."""
        if len(self._commands) >= MAX_QUEUED:
            text = f"{MAX_QUEUED} commands of this connection are queued already: wait for replies before sending more."
            raise CommandError(ErrorCode.RATE_LIMITED, text)
        self._commands.append(self.hold(command, size, budget))

    def next(self) -> Held | None:
        """Remove and return the next command; it counts until it is `done`."""
        return self._commands.popleft() if self._commands else None

    def finish(self, held: Held) -> Held | None:
        """Do what `done` and then `next` does, in one call."""
        self._bytes -= held.weight
        held.budget.bytes -= held.weight
        return self._commands.popleft() if self._commands else None

    def done(self, held: Held) -> None:
        """Stop counting a command."""
        self._bytes -= held.weight
        held.budget.bytes -= held.weight

    def clear(self) -> None:
        """Drop all queued commands; the running one continues, and still counts."""
        while self._commands:
            self.done(self._commands.popleft())


def _full(whose: str, most: int) -> CommandError:
    text = f"Commands of {whose} hold {most} bytes at most: wait for replies before sending more."
    return CommandError(ErrorCode.RATE_LIMITED, text)
