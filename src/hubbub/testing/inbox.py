"""What a user of a test has received and not read yet, and what a test is told that gets no event."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeVar

from hubbub.client.events import Event
from hubbub.testing.virtual_time import VirtualTime

E = TypeVar("E")

SHOWN = 10
"""Most events of each kind that a failure shows."""


class Inbox:
    """The events of one connection, in order.

    Args:
        clock: Of the event loop.
        name: Whose they are, for failures.
    """

    def __init__(self, clock: VirtualTime, name: str) -> None:
        self._clock = clock
        self.name = name
        self._read: deque[Event] = deque(maxlen=SHOWN)
        self._unread: list[Event] = []
        self._ended = ""
        self._changed = asyncio.Event()

    @property
    def unread(self) -> tuple[Event, ...]:
        """The events that were not read yet, in order."""
        return tuple(self._unread)

    def put(self, event: Event) -> None:
        """Add what has arrived."""
        self._unread.append(event)
        self._changed.set()

    def end(self, why: str) -> None:
        """Nothing more arrives; `why` is for failures."""
        self._ended = why
        self._changed.set()

    async def take(self, what: str, kinds: type[E] | tuple[type[E], ...], within: float) -> E:
        """Take the first event of these kinds, and leave the others.

        Args:
            what: The kinds in words.
            kinds: The kinds.
            within: Most seconds to wait, on the clock of the hub.

        Raises:
            AssertionError: None has come in time, or none can come any more.
        """
        try:
            async with asyncio.timeout(within):
                with self._clock.jumping():
                    while True:
                        for position, event in enumerate(self._unread):
                            if isinstance(event, kinds):
                                self._read.append(self._unread.pop(position))
                                return event
                        if self._ended:
                            break
                        self._changed.clear()
                        await self._changed.wait()
        except TimeoutError:
            raise AssertionError(self._failure(f"no {what} came within {within:g} s")) from None
        raise AssertionError(self._failure(f"no {what} can come: {self._ended}"))

    def _failure(self, problem: str) -> str:
        return f"{self.name}: {problem}.\nunread: {_lines(self._unread)}\nread before: {_lines(list(self._read))}"


def _lines(events: list[Event]) -> str:
    if not events:
        return "nothing"
    more = [f"and {len(events) - SHOWN} more"] if len(events) > SHOWN else []
    return "".join(f"\n  {line}" for line in [*(f"{event!r:.200}" for event in events[:SHOWN]), *more])
