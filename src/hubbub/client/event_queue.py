"""Events between the connection, which does not wait, and the program, which may be slow."""

from __future__ import annotations

import asyncio
from collections import deque

from hubbub.client.events import LOST, Closed, Event, Problem

MAX_BYTES = 64 * 1024 * 1024
"""Most bytes, about, that the events that wait take; one that is larger fits when nothing else waits."""


class EventQueue:
    """Events in the order in which they came, for one reader.

    What does not fit is dropped, and a `Problem` with the code ``EVENTS_LOST`` stands in its place.
    """

    def __init__(self, limit: int) -> None:
        """Hold at most `limit` events, and the few that say what happened to the rest."""
        self._events: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._limit = limit
        self._lost = 0
        self._closed = False
        self._filled = asyncio.Event()

    def put(self, event: Event, weight: int = 0) -> None:
        """Add an event, which takes about `weight` bytes. `Closed` always fits; nothing is taken after it."""
        if self._closed:
            return
        self._closed = isinstance(event, Closed)
        full = len(self._events) >= self._limit or (self._events and self._bytes + weight > MAX_BYTES)
        if full and not self._closed:
            self._lost += 1
        else:
            self._say_what_is_lost()
            self._events.append((event, weight))
            self._bytes += weight
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
        event, weight = self._events.popleft()
        self._bytes -= weight
        return event

    def _say_what_is_lost(self) -> None:
        if self._lost:
            text = f"{self._lost} events were not read in time, and are lost."
            self._events.append((Problem(LOST, text, lost=self._lost), 0))
            self._lost = 0
