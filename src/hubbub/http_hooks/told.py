"""What an app is told afterwards: sent in order for each connection, kept while the app is away, bounded in bytes.

The first attempt is made by the task of the connection, so that the app is told before it is asked about the next
command. What fails is kept and sent again, with a pause that doubles.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hubbub.http_hooks.app import new_id

MAX_BYTES = 16 * 1024 * 1024
"""Most bytes of all events that are kept; what comes then is dropped and counted."""

OVERHEAD = 1000
"""Bytes that an event counts besides its body: the objects around it, and the task that sends it."""

LONGEST = 300.0
"""Seconds after which an event that could not be sent is dropped."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds until events are sent again, and the most to which they double while nothing can be sent."""

AT_ONCE = 10
"""Connections whose events are sent again at the same time."""


@dataclass(slots=True)
class Told:
    """One event.

    Attributes:
        kind: ``"leave"`` or ``"disconnect"``.
        user_id: Whose turn it takes.
        body: The request.
        since: When it happened, on the clock of the loop.
        message_id: Its ``webhook-id``, the same in each attempt.
    """

    kind: str
    user_id: str
    body: bytes
    since: float
    message_id: str = field(default_factory=new_id)

    @property
    def size(self) -> int:
        """The bytes that it counts."""
        return len(self.body) + OVERHEAD


Send = Callable[[Told], Awaitable[bool]]
"""Sends an event; returns whether the app has taken it. Never raises, unless its task is cancelled."""


class ToldEvents:
    """The events of one node that the app has not taken yet.

    Args:
        send: Sends one.
        away: Whether the app counts as away, so that it makes no sense to send another one.
        spread: Returns a random number from 0 to 1, by which pauses differ.

    Attributes:
        size: The bytes of all events.
        dropped: Events that the app was never told of: there were too many, or they became too old.
        retried: Attempts after the first one.
    """

    def __init__(self, send: Send, away: Callable[[], bool], spread: Callable[[], float] = random.random) -> None:
        self._send = send
        self._away = away
        self._spread = spread
        self._waiting: dict[str, deque[Told]] = {}
        self._sending: set[str] = set()
        self._pause = FIRST_PAUSE
        self._retrying: asyncio.Task[None] | None = None
        self._now = asyncio.get_running_loop().time
        self.size = 0
        self.dropped = 0
        self.retried = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, connection_id: str, kind: str, user_id: str, body: bytes) -> Coroutine[Any, Any, None] | None:
        """Take an event; return what makes the first attempt, or None if there is no room for it."""
        event = Told(kind, user_id, body, self._now())
        if self.size + event.size > MAX_BYTES:
            self.dropped += 1
            return None
        self.size += event.size
        self._waiting.setdefault(connection_id, deque()).append(event)
        return self._first(connection_id)

    def close(self) -> None:
        """Stop to send; what is left is dropped."""
        if self._retrying is not None:
            self._retrying.cancel()
        self.dropped += len(self)
        for events in self._waiting.values():
            events.clear()  # one of them may just be being sent
        self._waiting.clear()
        self.size = 0

    async def _first(self, connection_id: str) -> None:
        if connection_id in self._sending or connection_id not in self._waiting:
            return  # an earlier event of the connection is just being sent again, and this one will be after it
        if not await self._send_all(connection_id) and self._retrying is None:
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    async def _send_all(self, connection_id: str) -> bool:
        """Send the events of a connection in order; return whether none is left."""
        self._sending.add(connection_id)
        try:
            events = self._waiting.get(connection_id)
            while events:
                event = events[0]
                if self._now() - event.since > LONGEST:
                    self.dropped += 1
                elif not await self._send(event):
                    return False
                if events and events[0] is event:  # not dropped by `close`
                    events.popleft()
                    self.size -= event.size
            self._waiting.pop(connection_id, None)
            return True
        finally:
            self._sending.discard(connection_id)

    async def _retry(self) -> None:
        """Send what is left until nothing is; connections one after the other, from the oldest."""
        while self._waiting:
            await asyncio.sleep(self._pause * (0.5 + self._spread() / 2))
            left = deque(each for each in self._waiting if each not in self._sending)
            some = await asyncio.gather(*(self._some(left) for _ in range(AT_ONCE)))
            self._pause = FIRST_PAUSE if any(some) else min(2 * self._pause, LONGEST_PAUSE)
        self._pause, self._retrying = FIRST_PAUSE, None

    async def _some(self, left: deque[str]) -> bool:
        """Send the events of connections in `left` while the app is there; return whether any was sent."""
        any_sent = False
        while left and not self._away():
            connection_id = left.popleft()
            if connection_id in self._sending:
                continue
            self.retried += 1
            any_sent = await self._send_all(connection_id) or any_sent
        return any_sent
