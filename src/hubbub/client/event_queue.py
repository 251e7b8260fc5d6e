"""A queue between the connection, which does not wait, and the program, which may be slow."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable

from hubbub.client.events import LOST, Closed, Event, Problem

MAX_BYTES = 64 * 1024 * 1024
"""About how many bytes the unread events may take; a larger event is accepted when the queue is empty."""


class EventQueue:
    """Unread events in the order in which they arrived, for one reader.

    Beyond the limits the newest are dropped and replaced by one `Problem` (code ``EVENTS_LOST``) that says how many.
    """

    def __init__(self, limit: int) -> None:
        """Hold at most `limit` events, and those that report dropped ones."""
        self._events: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._limit = limit
        self._lost = 0
        self._closed = False
        self._filled = asyncio.Event()

    def put(self, event: Event, size: int = 0) -> None:
        """Add an event that takes about `size` bytes. `Closed` is always accepted; events after it are ignored."""
        if self._closed:
            return
        self._closed = isinstance(event, Closed)
        full = len(self._events) >= self._limit or (self._events and self._bytes + size > MAX_BYTES)
        if full and not self._closed:
            self._lost += 1
        else:
            self._report_lost()
            self._events.append((event, size))
            self._bytes += size
        self._filled.set()

    async def get(self) -> Event | None:
        """Wait for the next event and return it; None after `Closed`."""
        while not self._events and not self._lost:
            if self._closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        if not self._events:
            self._report_lost()
        event, size = self._events.popleft()
        self._bytes -= size
        return event

    def _report_lost(self) -> None:
        if self._lost:
            text = f"{self._lost} events were dropped because they were not read in time."
            self._events.append((Problem(LOST, text, lost=self._lost), 0))
            self._lost = 0


async def call_with_events(queue: EventQueue, on_event: Callable[[Event], object]) -> None:
    """Call `on_event`, which may be async, with every event up to `Closed`, one after the other.

    What it raises goes to the event loop's exception handler and changes nothing here.
    """
    while event := await queue.get():
        try:
            result = on_event(event)
            if inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as error:  # as asyncio does with its own callbacks
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise  # this task is cancelled, not something that the callback awaited
            text = f"Exception in on_event({event.type!r})"
            asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
