"""An HTTP connection whose client does not read its answers: watched, and cut when it stops reading."""

from __future__ import annotations

import asyncio

from hubbub.transports.reset import reset
from hubbub.transports.websocket.backlog import LOOK, Backlog

READ_TIMEOUT = 30.0
"""Seconds that a client may take to read what waits for it, however steadily it reads."""


class UnreadAnswers:
    """The watch over one connection, from when answers begin to wait for its client until none does.

    A client that takes not one byte for `backlog.STALLED_AFTER` seconds, or that has not read everything after
    `READ_TIMEOUT` seconds, is cut: otherwise it could hold its connection, and what waits, for ever.

    Args:
        transport: Where the bytes wait.
        loop: Whose clock and timers are used.
    """

    __slots__ = ("_backlog", "_loop", "_since", "_timer", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._since = loop.time()
        self._backlog = Backlog(transport, 0, self._since)
        self._timer: asyncio.TimerHandle = loop.call_later(LOOK, self._look)

    def end(self) -> None:
        """Stop watching: everything was read, or the connection is gone."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if self._transport.get_write_buffer_size() and (
            self._backlog.stalled(now) or now - self._since >= READ_TIMEOUT
        ):
            reset(self._transport)
        else:
            self._timer = self._loop.call_later(LOOK, self._look)
