"""uvicorn's HTTP protocol with the limits that it lacks: how large the head of a request is, how long a request takes.

Without them one client could fill the memory with a header that never ends, or hold connections open for ever by
sending a byte now and then. What is refused gets the same JSON body as everywhere else, and the connection ends.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hubbub.errors import ErrorCode

MAX_HEAD = 32_768
"""Most bytes of request line and headers together; more is answered with 431 (RFC 6585, section 5)."""

HEAD_TIMEOUT = 5.0
"""Seconds that a connection may take to send a complete head; then 408 (RFC 9110, section 15.5.9)."""

REQUEST_TIMEOUT = 30.0
"""Seconds that a request, head and body, may take to come in; then 408."""

REFUSAL_TIMEOUT = 1.0
"""Seconds that a connection which is one too many may take to begin its request; then it is refused unasked."""

SPARE_CONNECTIONS = 32
"""Connections over the limit that are heard out before they are refused, so that they get to read why."""


class _Part(Enum):
    """What of a request is expected next."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()  # the request is complete; another may follow
    FRAMES = auto()  # it has become a WebSocket, which is not ours any more


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection. Only requests that do not arrive in one piece cost a timer.

    Args:
        most: Connections of all kinds, WebSockets among them, from which on further ones are refused with 503. To do
            so takes `SPARE_CONNECTIONS` open files, and a few more, on top.
        args: What uvicorn passes.
        kwargs: What uvicorn passes.
    """

    def __init__(self, most: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most = most
        self._one_too_many = False
        self.access_log = False  # it would show query strings, and tokens with them
        self._part = _Part.HEAD
        self._head = 0
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._problem = (400, ErrorCode.INVALID_REQUEST, "This is not a valid HTTP/1.1 request.")

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._began = self.loop.time()
        over = len(self.connections) - self._most
        if over <= 0:
            self._watch()
        elif over <= SPARE_CONNECTIONS:
            self._one_too_many = True
            self._timer = self.loop.call_later(REFUSAL_TIMEOUT, self._refuse, *_FULL)
        else:
            self._refuse(*_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, then see what is still missing."""
        if self.transport.is_closing():
            return
        if self._one_too_many:
            self._refuse(*_FULL)
            return
        if self._part is _Part.NOTHING:
            self._part = _Part.HEAD  # even if these are only empty lines, which the parser skips silently
            self._began = self.loop.time()
        if self._part is _Part.HEAD:
            self._head += len(data)
        super().data_received(data)
        if self._part is _Part.FRAMES:
            # They would hold each other, and memory, until the garbage collector comes.
            self.parser = None  # type: ignore[assignment]
            return
        if self.transport.is_closing():
            return
        if self._part is _Part.HEAD and self._head > MAX_HEAD:
            self._refuse(*_TOO_LARGE)
        elif self._part is not _Part.NOTHING:
            self._watch()

    # --- callbacks of the parser ---

    def on_message_begin(self) -> None:
        """Take the time, unless its first bytes came alone."""
        super().on_message_begin()
        if self._part is not _Part.HEAD:  # the next of several requests that came in one piece
            self._part = _Part.HEAD
            self._began = self.loop.time()

    def on_headers_complete(self) -> None:
        """Check the size: a head may be complete within one piece, and still be too large."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD:
            self._problem = _TOO_LARGE
            raise ValueError("head too large")  # ends the parsing; answered in send_400_response
        super().on_headers_complete()
        self._part = _Part.BODY

    def on_message_complete(self) -> None:
        """Nothing more to wait for."""
        self._part, self._head = _Part.NOTHING, 0
        self._stop_watching()
        super().on_message_complete()

    # --- what uvicorn calls ---

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; the request is complete, so nothing is waited for."""
        self._part = _Part.FRAMES
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that could not be parsed, or whose parsing we ended."""
        self._refuse(*self._problem)

    # --- inside ---

    def _watch(self) -> None:
        """Wait for the rest, from the time at which the request began."""
        if self._timer is None:
            self._timer = self.loop.call_at(self._due(), self._look)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> float:
        return self._began + (HEAD_TIMEOUT if self._part is _Part.HEAD else REQUEST_TIMEOUT)

    def _look(self) -> None:
        """See whether the time is up."""
        self._timer = None
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._part is _Part.HEAD and self.cycle is not None and not self.cycle.response_complete:
            self._began = now  # we are not done with the request before, so this one need not hurry
        if now < self._due():
            self._watch()
            return
        what, limit = (
            ("head of the request", HEAD_TIMEOUT) if self._part is _Part.HEAD else ("request", REQUEST_TIMEOUT)
        )
        self._refuse(408, ErrorCode.INVALID_REQUEST, f"The {what} did not come within {limit:g} seconds.")

    def _refuse(self, status: int, code: ErrorCode, message: str) -> None:
        """Answer, unless an answer to this or an earlier request is on its way or was given; and close."""
        if not self._answered():
            body = msgspec.json.encode({"error": {"code": code, "message": message}})
            retry = b"retry-after: 5\r\n" if status == 503 else b""
            head = retry + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
                body
            )
            self.transport.write(STATUS_LINE[status] + head + body)
        if self.cycle is not None:  # what the app still has to say would come after the end
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _answered(self) -> bool:
        before = self._part is _Part.HEAD  # then the cycle is that of the request before, if there was one
        return self.cycle is not None and (
            not self.cycle.response_complete if before else bool(self.pipeline) or self.cycle.response_started
        )


_TOO_LARGE = (431, ErrorCode.TOO_LARGE, f"The head of the request is larger than {MAX_HEAD} bytes.")
_FULL = (503, ErrorCode.UNAVAILABLE, "The server is full; try again later.")
