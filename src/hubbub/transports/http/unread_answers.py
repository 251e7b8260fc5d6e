"""Cuts an HTTP connection whose client does not read its answers."""

from __future__ import annotations

import asyncio

from hubbub.transports.reset import reset
from hubbub.transports.websocket.backlog import LOOK, Backlog

READ_TIMEOUT = 30.0
"""Seconds that a client may take to read the answers that wait for it, however steadily it reads."""


class UnreadAnswers:
    """The watch over one connection, while answers wait for its client.

    A client is cut if it reads not one byte for `backlog.STALLED_AFTER` seconds, or has not read everything after
    `READ_TIMEOUT` seconds: otherwise it could keep its connection, and the answers in memory, indefinitely.

    Args:
        transport: The answers wait in its buffer.
        loop: Its clock and timers are used.
    """

    __slots__ = ("_backlog", "_began", "_loop", "_timer", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._backlog: Backlog
        self._began: float

    @property
    def watching(self) -> bool:
        """Whether the watch is on."""
        return self._timer is not None

    def watch(self) -> None:
        """Begin to watch, unless the watch is on."""
        if self._timer is None:
            self._began = self._loop.time()
            self._backlog = Backlog(self._transport, 0, self._began)
            self._timer = self._loop.call_later(LOOK, self._look)

    def stop(self) -> None:
        """Stop watching: the client has read everything, or the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = self._loop.time()
        unread = self._transport.get_write_buffer_size() > 0
        if unread and (self._backlog.stalled(now) or now - self._began >= READ_TIMEOUT):
            self._timer = None
            reset(self._transport)
        else:
            self._timer = self._loop.call_later(LOOK, self._look)
