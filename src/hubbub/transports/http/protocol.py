"""uvicorn's HTTP protocol with the limits that it lacks: how large the head of a request is, how long a request takes.

Without them one client could fill the memory with a header that never ends, or hold connections open for ever by
sending a byte now and then. What is refused gets the same JSON body as everywhere else, and the connection ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import httptools
import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hubbub.errors import ErrorCode
from hubbub.transports.http.held_bytes import HeldBytes, HttpMemory
from hubbub.transports.http.unread_answers import UnreadAnswers

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


class _Flow(FlowControl):
    """uvicorn's flow control, which says when the app has taken a body, so that more of it can be parsed."""

    def __init__(self, transport: asyncio.Transport, go_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._go_on: Callable[[], None] | None = go_on

    def forget(self) -> None:
        """Break the cycle of references with the connection, which is lost or another protocol's now."""
        self._go_on = None

    def resume_reading(self) -> None:
        """Parse on. Whether more is read from the socket depends on what is held."""
        if self.read_paused:
            self.read_paused = False
            if self._go_on is not None:
                self._go_on()


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection. Only requests that do not arrive in one piece cost a timer.

    Requests are handled one after the other. What a client has sent behind the request that is being handled is held as
    bytes, and nothing more is read from it meanwhile.

    Args:
        most: Connections of all kinds, WebSockets among them, from which on further ones are refused with 503. To do
            so takes `SPARE_CONNECTIONS` open files, and a few more, on top.
        memory: What all connections hold together.
        args: What uvicorn passes.
        kwargs: What uvicorn passes.
    """

    flow: _Flow

    def __init__(self, most: int, memory: HttpMemory, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most = most
        self._memory = memory
        self._counted = 0  # what `memory` has counted of this connection
        self._held = HeldBytes()
        self._running: RequestResponseCycle | None = None
        self._unread: UnreadAnswers | None = None
        self._one_too_many = False
        self.access_log = False  # it would show query strings, and tokens with them
        self._part = _Part.HEAD
        self._head = 0
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._problem = _NO_HTTP

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self._parse_soon)
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
        """Stop waiting, and give back all memory now."""
        self._stop_watching()
        self._stop_watching_unread()
        self._unset_keepalive_if_required()
        if self._running is not None and self._running is not self.cycle:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        self._held.clear()
        self._count()
        self.pipeline.clear()
        self._let_go()

    def _let_go(self) -> None:
        """Break the cycles of references: the garbage collector, which would find them, seldom runs."""
        self.flow.forget()
        self.parser = self._running = self.cycle = None  # type: ignore[assignment]

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always lets the transport close
        """Answer the request that is pending, if it is complete; then close, and see to it that this ends."""
        if self._running is not None and self._part is _Part.NOTHING:
            self._running.keep_alive = False
            return True
        self._watch_unread()
        return False

    def pause_writing(self) -> None:
        """Answers wait for the client: watch whether it reads them."""
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        """The client has read most of them; what is left of the last ones is watched on while the connection ends."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_watching_unread()

    def data_received(self, data: bytes) -> None:
        """Hold what came, and parse as much of it as can be handled now."""
        if self.transport.is_closing():
            return
        if self._one_too_many:
            self._refuse(*_FULL)
            return
        self._unset_keepalive_if_required()
        self._held.add(data)
        self._parse()

    # --- callbacks of the parser ---

    def on_message_begin(self) -> None:
        """Take the time, unless its first bytes came alone."""
        super().on_message_begin()
        if self._part is not _Part.HEAD:  # the next of several requests that came in one piece
            self._part = _Part.HEAD
            self._began = self.loop.time()

    def on_headers_complete(self) -> None:
        """Check the head: one may be complete within one piece, and still be too large."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        problem = _TOO_LARGE if size > MAX_HEAD else self._problem_with_head()
        if problem is not None:
            self._problem = problem
            raise ValueError("head refused")  # ends the parsing; answered in send_400_response
        super().on_headers_complete()
        self._part = _Part.BODY

    def on_message_complete(self) -> None:
        """Nothing more to wait for."""
        self._part, self._head = _Part.NOTHING, 0
        self._stop_watching()
        super().on_message_complete()

    # --- what uvicorn calls ---

    def on_response_complete(self) -> None:
        """Go on with what the client sent behind the request that was answered."""
        if self._running is not None:
            self._running.body.clear()  # the app has answered without it
            self._running = None
            self._count()
        super().on_response_complete()
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size():
                self._watch_unread()
        elif len(self._held):
            self._unset_keepalive_if_required()
            self._parse_soon()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, and cut it if its client does not read the last answer."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self._watch_unread()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; the request is complete, so nothing is waited for."""
        self._part = _Part.FRAMES
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that could not be parsed, or whose parsing we ended."""
        self._refuse(*self._problem)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # --- one request after the other ---

    def _parse_soon(self) -> None:
        self.loop.call_soon(self._parse)  # not at once: others have their turn between two requests

    def _parse(self) -> None:
        """Parse what is held until a request has to be answered first, or its app has enough of the body."""
        while len(self._held) and not self._must_wait():
            self._feed(self._held.take(body=self._part is _Part.BODY))
        if self._part is _Part.FRAMES or self.transport.is_closing():
            self._held.clear()
            self._count()
            return
        self._count()
        if self._memory.too_much(self._counted):
            self._give_up()
        elif len(self._held) or self.flow.read_paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _must_wait(self) -> bool:
        if self._part is _Part.FRAMES or self.transport.is_closing() or self.flow.read_paused:
            return True
        return self._running is not None and self._part is not _Part.BODY

    def _feed(self, data: bytes) -> None:
        if self._part is _Part.NOTHING:
            self._part = _Part.HEAD  # even if these are only empty lines, which the parser skips silently
            self._began = self.loop.time()
        if self._part is _Part.HEAD:
            self._head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :] + self._held.rest())
            return
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if self.transport.is_closing():
            return
        if self._part is _Part.HEAD and self._head > MAX_HEAD:
            self._refuse(*_TOO_LARGE)
        elif self._part is not _Part.NOTHING:
            self._watch()

    def _upgrade(self, frames: bytes) -> None:
        """Hand the connection over, with the `frames` that came right behind the request."""
        if not self._should_upgrade():  # such as h2c: ignored (RFC 9110, section 7.8), but the parser is of no use now
            if self._running is not None:
                self._running.keep_alive = False
            return
        self.handle_websocket_upgrade()
        self._let_go()
        protocol = self.transport.get_protocol()
        if frames and isinstance(protocol, asyncio.Protocol) and not self.transport.is_closing():
            protocol.data_received(frames)

    def _count(self) -> None:
        """Tell `memory` what this connection holds now."""
        body = 0 if self.cycle is None else len(self.cycle.body)
        held = len(self._held) + body
        self._memory.change(self._counted, held)
        self._counted = held

    def _give_up(self) -> None:
        """Answer the request that is being handled, if there is one, and close; what was sent behind it is dropped."""
        self._held.clear()
        self.transport.pause_reading()
        if self._running is None or self._part is _Part.BODY:
            self._refuse(*_FULL)
        else:
            self._running.keep_alive = False
        self._count()

    def _problem_with_head(self) -> _Problem | None:
        """Return what a proxy before us might understand in another way than we do, and so is refused."""
        names = [name for name, _ in self.headers]
        modern = self.parser.get_http_version() != "1.0"
        if names.count(b"host") != 1 and (modern or b"host" in names):
            return _HOST
        if self.parser.should_upgrade() and self._should_upgrade():
            if not modern:
                return _OLD_UPGRADE
            if b"transfer-encoding" in names or any(
                name == b"content-length" and value.strip() != b"0" for name, value in self.headers
            ):
                return _UPGRADE_WITH_BODY
        return None

    # --- limits of time ---

    def _watch(self) -> None:
        """Wait for the rest, from the time at which the request began."""
        if self._timer is None:
            self._timer = self.loop.call_at(self._due(), self._look)

    def _watch_unread(self) -> None:
        if self._unread is None:
            self._unread = UnreadAnswers(self.transport, self.loop)

    def _stop_watching_unread(self) -> None:
        if self._unread is not None:
            self._unread.end()
            self._unread = None

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
            self.cycle.body.clear()
            self.cycle.message_event.set()
        self._held.clear()
        self._count()
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch_unread()

    def _answered(self) -> bool:
        before = self._part is _Part.HEAD  # then the cycle is that of the request before, if there was one
        return self.cycle is not None and (
            not self.cycle.response_complete if before else bool(self.pipeline) or self.cycle.response_started
        )


_Problem = tuple[int, ErrorCode, str]
"""Status, code and sentence of an answer that refuses a request."""

_NO_HTTP: _Problem = (400, ErrorCode.INVALID_REQUEST, "This is not a valid HTTP/1.1 request.")
_TOO_LARGE: _Problem = (431, ErrorCode.TOO_LARGE, f"The head of the request is larger than {MAX_HEAD} bytes.")
_FULL: _Problem = (503, ErrorCode.UNAVAILABLE, "The server is full; try again later.")
# RFC 9112, section 3.2.
_HOST: _Problem = (400, ErrorCode.INVALID_REQUEST, 'A request needs exactly one "Host" header.')
# RFC 6455, section 4.1.
_OLD_UPGRADE: _Problem = (400, ErrorCode.INVALID_REQUEST, "A WebSocket is opened with HTTP/1.1, not HTTP/1.0.")
_UPGRADE_WITH_BODY: _Problem = (
    400,
    ErrorCode.INVALID_REQUEST,
    "A request that opens a WebSocket must not have a body.",
)
