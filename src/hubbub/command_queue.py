"""The commands of one connection that wait, and the one that runs: bounded in number and in bytes. Pure."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Command, Groups, Users
from hubbub.time_budget import TimeBudget

MAX_WAITING = 256
"""Most commands of one connection that wait for the one before; more are refused."""

MAX_WAITING_BYTES = 1_048_576
"""Most bytes of one connection's commands, the one that runs among them."""

OVERHEAD = 512
"""Bytes that a command counts beyond its frame: its struct, and the task that it may run in."""

OBJECTS = 32
"""Bytes of memory for each byte of a cursor, at worst: it is decoded to Python objects, messages are not."""


class Held(NamedTuple):
    """A command, and what it counts in which budget until `CommandQueue.done`."""

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
        """Count a command whose frame had `size` bytes.

        Raises:
            CommandError: ``RATE_LIMITED``, the connection or its user has too many bytes waiting.
        """
        weight = OVERHEAD + size * (OBJECTS if isinstance(command, Groups | Users) and command.start_key else 1)
        # One command alone is never too large for its connection: it could never be sent.
        if self._bytes and self._bytes + weight > MAX_WAITING_BYTES:
            raise _full("this connection", MAX_WAITING_BYTES)
        if budget.bytes and budget.bytes + weight > budget.most_bytes:
            raise _full("this user's connections", budget.most_bytes)
        self._bytes += weight
        budget.bytes += weight
        return Held(command, weight, budget)

    def add(self, command: Command, size: int, budget: TimeBudget) -> None:
        """Let a command wait. Raises `CommandError` ``RATE_LIMITED``: too many wait, or too many bytes."""
        if len(self._commands) >= MAX_WAITING:
            text = f"More than {MAX_WAITING} commands wait for their answers: wait for some of them."
            raise CommandError(ErrorCode.RATE_LIMITED, text)
        self._commands.append(self.hold(command, size, budget))

    def next(self) -> Held | None:
        """Take out the next command; it counts until it is `done`."""
        return self._commands.popleft() if self._commands else None

    def done(self, held: Held) -> None:
        """Count a command no longer."""
        self._bytes -= held.weight
        held.budget.bytes -= held.weight

    def clear(self) -> None:
        """Drop all that wait; the one that runs goes on, and counts."""
        while self._commands:
            self.done(self._commands.popleft())


def _full(whose: str, most: int) -> CommandError:
    text = f"More than {most} bytes of commands of {whose} wait for their answers: wait for some of them."
    return CommandError(ErrorCode.RATE_LIMITED, text)
