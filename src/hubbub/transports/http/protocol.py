"""The HTTP transport: uvicorn's protocol for one connection, with the limits that it lacks.

Without them a client could fill the memory with a header that never ends or with pipelined requests, and could hold
connections open indefinitely by sending a byte now and then, or by reading no answers. A request that exceeds a limit
is answered with the JSON body that all errors have, and the connection is closed.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hubbub.errors import CommandError
from hubbub.transports.http.body_flow import BodyFlow
from hubbub.transports.http.head_checks import HEAD_TOO_LARGE, INVALID_HTTP, MAX_HEAD, problem_with_head
from hubbub.transports.http.held_bytes import HEADER, HeldBytes, HttpMemory, MemoryShare
from hubbub.transports.http.time_limits import RequestPart, RequestTimer, time_limit, too_late
from hubbub.transports.http.unread_answers import UnreadAnswers
from hubbub.transports.refusal import refusal, server_full

REFUSAL_TIMEOUT = 1.0
"""Seconds that a connection over the limit may take to begin its request; then it is refused without one."""

SPARE_CONNECTIONS = 32
"""Connections over the limit that may send a request before they are refused: most clients read no answer earlier."""


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection. Only requests that are received in several pieces need a timer.

    Requests are handled one after the other. While one is being answered, what the client has sent behind it is held as
    bytes, and nothing more is read.

    Args:
        most: How many connections there may be, WebSockets included; further ones are refused with 503. Refusing them
            takes `SPARE_CONNECTIONS` open files, and a few more, on top.
        memory: Counts what all HTTP connections hold together.
        args: From uvicorn.
        kwargs: From uvicorn.
    """

    flow: BodyFlow
    _unread: UnreadAnswers

    def __init__(self, most: int, memory: HttpMemory, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most = most
        self._memory = MemoryShare(memory)
        self._held = HeldBytes()
        self.headers = []
        self._running: RequestResponseCycle | None = None
        self._over_limit = False
        self.access_log = False  # it would show query strings, which may hold tokens
        self._part = RequestPart.HEAD
        self._head_bytes = 0
        self._timer = RequestTimer(self.loop)
        self._problem = INVALID_HTTP

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a request, or refuse the connection if there are too many."""
        super().connection_made(transport)
        self.flow = BodyFlow(transport, self._parse_soon)
        self._unread = UnreadAnswers(transport, self.loop)
        over = len(self.connections) - self._most
        if over <= 0:
            self._watch_time()
        elif over <= SPARE_CONNECTIONS:
            self._over_limit = True
            self._timer.watch(REFUSAL_TIMEOUT, self._refuse_full)
        else:
            self._refuse_full()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and release all memory now."""
        self._timer.stop()
        self._unread.stop()
        self._unset_keepalive_if_required()
        if self._running is not None and self._running is not self.cycle:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        self._release()
        self.pipeline.clear()
        self._break_cycles()

    def _break_cycles(self) -> None:
        """Break the cycles of references, so that the memory is released now: the garbage collector runs seldom."""
        self.flow.detach()
        self.parser = self._running = self.cycle = None  # type: ignore[assignment]

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always lets the transport close
        """Answer the pending request, if it is complete, and close; cut the client if it does not read the answer."""
        if self._running is not None and self._part is RequestPart.NOTHING:
            self._running.keep_alive = False
            self._running.message_event.set()  # an answer without end ends now: see `events` and `live_lists`
            return True
        self._unread.watch()
        return False

    def pause_writing(self) -> None:
        """Answers are waiting: watch whether the client reads them."""
        super().pause_writing()
        self._unread.watch()

    def resume_writing(self) -> None:
        """The client has read most of them: stop watching, unless the connection is being closed."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._unread.stop()

    def data_received(self, data: bytes) -> None:
        """Hold what was received, and parse as much of it as can be handled now."""
        if self.transport.is_closing():
            return
        if self._over_limit:
            self._refuse_full()
            return
        self._unset_keepalive_if_required()
        self._held.add(data)
        self._parse()

    # --- callbacks of the parser ---

    def on_message_begin(self) -> None:
        """Note the time at which the request began, unless `_feed` has done so."""
        super().on_message_begin()
        if self._part is not RequestPart.HEAD:  # the next of several requests in one piece
            self._part = RequestPart.HEAD
            self._timer.begin()

    def on_headers_complete(self) -> None:
        """Check the head."""
        upgrade = self.parser.should_upgrade() and self._should_upgrade()
        problem = problem_with_head(self.url, self.headers, self.parser.get_http_version(), upgrade=upgrade)
        if problem is not None:
            self._problem = problem
            raise ValueError("head refused")  # ends the parsing; answered in send_400_response
        super().on_headers_complete()
        self._part = RequestPart.BODY

    def on_message_complete(self) -> None:
        """Stop the timer: the request is complete."""
        self._part, self._head_bytes = RequestPart.NOTHING, 0
        self._timer.stop()
        super().on_message_complete()

    # --- called by uvicorn ---

    def on_response_complete(self) -> None:
        """Go on with the bytes behind the request that was answered."""
        if self._running is not None:
            self._running.body.clear()  # the app has answered without it
            self._running = None
            self._count()
        super().on_response_complete()
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size():
                self._unread.watch()
        elif len(self._held):
            self._unset_keepalive_if_required()
            self._parse_soon()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, and cut it if its client does not read the last answer."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self._unread.watch()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self._part = RequestPart.FRAMES
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that could not be parsed, or whose head was refused."""
        self._refuse(self._problem)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # --- one request after the other ---

    def _parse_soon(self) -> None:
        self.loop.call_soon(self._parse)  # not at once: other connections have their turn between two requests

    def _parse(self) -> None:
        """Parse what is held, until a request has to be answered first or the app has to take its body first."""
        while len(self._held) and not self._must_wait():
            self._feed(self._held.take(body=self._part is RequestPart.BODY))
        if self._part is RequestPart.FRAMES or self.transport.is_closing():
            self._release()
            return
        self._count()
        if self._memory.too_much:
            self._give_up()
        elif len(self._held) or self.flow.read_paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _must_wait(self) -> bool:
        if self._part is RequestPart.FRAMES or self.transport.is_closing() or self.flow.read_paused:
            return True
        return self._running is not None and self._part is not RequestPart.BODY

    def _feed(self, data: bytes) -> None:
        if self._part is RequestPart.NOTHING:
            self._part = RequestPart.HEAD  # even if these are only empty lines, which the parser skips silently
            self._timer.begin()
        if self._part is RequestPart.HEAD:
            self._head_bytes += len(data)
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
        if self._part is RequestPart.HEAD and self._head_bytes > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE)
        elif self._part is not RequestPart.NOTHING:
            self._watch_time()

    def _upgrade(self, frames: bytes) -> None:
        """Hand the connection over, with the `frames` that came right behind the request."""
        if not self._should_upgrade():  # such as h2c: ignored (RFC 9110, section 7.8), but the parser has stopped
            if self._running is not None:
                self._running.keep_alive = False
            return
        self.handle_websocket_upgrade()
        self._break_cycles()
        protocol = self.transport.get_protocol()
        if frames and isinstance(protocol, asyncio.Protocol) and not self.transport.is_closing():
            protocol.data_received(frames)

    def _count(self) -> None:
        """Count the bytes that this connection holds now."""
        head = self._head_bytes + HEADER * len(self.headers)
        self._memory.count(len(self._held) + head + (0 if self.cycle is None else len(self.cycle.body)))

    def _release(self) -> None:
        """Drop everything that this connection holds."""
        self._held.clear()
        self.headers, self._head_bytes = [], 0
        self._count()

    def _give_up(self) -> None:
        """Answer the request that is being handled, if there is one, and close; drop what was sent behind it."""
        self._held.clear()
        self.transport.pause_reading()
        if self._running is None or self._part is RequestPart.BODY:
            self._refuse_full()
        else:
            self._running.keep_alive = False
        self._count()

    # --- time limits, unread answers, refusals ---

    def _watch_time(self) -> None:
        """Limit the time until the rest of the request has been received."""
        self._timer.watch(time_limit(self._part), self._check_time)

    def _check_time(self) -> None:
        """Refuse the request if its time is up."""
        if self._part is RequestPart.HEAD and self.cycle is not None and not self.cycle.response_complete:
            self._timer.begin()  # the request before is not answered yet, so this one has time
        expired = self._timer.expired(time_limit(self._part))
        if self.transport.is_closing():
            return
        if expired:
            self._refuse(too_late(self._part))
        else:
            self._watch_time()

    def _refuse_full(self) -> None:
        self._refuse(server_full())

    def _refuse(self, error: CommandError) -> None:
        """Answer with an error, unless an answer to this or an earlier request was begun, and close."""
        if not self._answered():
            self.transport.write(refusal(error))
        if self.cycle is not None:  # the app must not write behind the end
            self.cycle.disconnected = True
            self.cycle.body.clear()
            self.cycle.message_event.set()
        self._held.clear()
        self._count()
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._unread.watch()

    def _answered(self) -> bool:
        before = self._part is RequestPart.HEAD  # then `cycle` is that of the request before, if there was one
        return self.cycle is not None and (
            not self.cycle.response_complete if before else bool(self.pipeline) or self.cycle.response_started
        )
