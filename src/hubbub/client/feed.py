"""Events between the connection, which does not wait, and the program, which may be slow."""

from __future__ import annotations

import asyncio
from collections import deque

from hubbub.client.events import LOST, Closed, Event, Problem


class Feed:
    """Events in the order in which they came, for one reader.

    What does not fit is dropped, and a `Problem` with the code ``EVENTS_LOST`` stands in its place.
    """

    def __init__(self, limit: int) -> None:
        """Hold at most `limit` events, and the few that say what happened to the rest."""
        self._events: deque[Event] = deque()
        self._limit = limit
        self._lost = 0
        self._closed = False
        self._filled = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event. `Closed` always fits; nothing is taken after it."""
        if self._closed:
            return
        self._closed = isinstance(event, Closed)
        if len(self._events) >= self._limit and not self._closed:
            self._lost += 1
        else:
            self._say_what_is_lost()
            self._events.append(event)
        self._filled.set()

    async def get(self) -> Event | None:
        """Wait for the next event and return it; None after `Closed`."""
        while not self._events and not self._lost:
            if self._closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        if not self._events:
            self._say_what_is_lost()
        return self._events.popleft()

    def _say_what_is_lost(self) -> None:
        if self._lost:
            text = f"{self._lost} events were not read in time, and are lost."
            self._events.append(Problem(LOST, text, lost=self._lost))
            self._lost = 0
