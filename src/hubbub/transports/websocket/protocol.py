"""The WebSocket transport: one asyncio protocol per connection.

uvicorn parses the upgrade request and hands the connection over, or an app does, in which a hub is mounted. When the
request has been answered (`opening`), frames take one of two paths. Whole text frames are cut out of the buffer
directly (`frames`). Everything else (ping, close, fragments, errors) goes to the WebSocket library (`StrictProtocol`),
which is created when it is needed and keeps the connection until no frame and no message is incomplete.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from hubbub.auth.identity import Identity
from hubbub.dialects.base import Wire
from hubbub.errors import CLOSE_RULES, Close
from hubbub.hooks import AppSide
from hubbub.node import Node
from hubbub.session import Session
from hubbub.time_budget import FRAME
from hubbub.transports.base import Caller
from hubbub.transports.reset import reset
from hubbub.transports.websocket.backlog import RELAXED
from hubbub.transports.websocket.frames import PING, TEXT, apply_mask, cut, is_utf8
from hubbub.transports.websocket.handshake import Handshake
from hubbub.transports.websocket.opening import Opening
from hubbub.transports.websocket.slow_reader import SlowReader
from hubbub.transports.websocket.strict import StrictProtocol, close_code

MAX_HEADER = 14
"""Most bytes in front of a masked frame's payload."""

PIECE = 512
"""Bytes that the library gets at a time: a read may hold 40,000 pings, and other connections must not wait for them."""

TINY = 1024
"""A fragment of fewer bytes counts as wasted (`Session.waste`), unless it is the last one of its message."""

_LOG = logging.getLogger("hubbub.websocket")
_LOG.setLevel(logging.INFO)  # at DEBUG the library would log frames, and tokens with them

_DATA = frozenset((Opcode.TEXT, Opcode.BINARY, Opcode.CONT))

_EMPTY = bytearray()  # shared by all connections that hold no part of a frame; never changed


class WebSocketProtocol(asyncio.Protocol):
    """One connection, from the upgrade request to the end. The `Link` of its `Session`."""

    __slots__ = (
        "_buffer",
        "_caller",
        "_fragments",
        "_ignores_input",
        "_library",
        "_need",
        "_node",
        "_opening",
        "_postponed",
        "_session",
        "_slow_reader",
        "_state",
        "_transport",
    )

    def __init__(
        self,
        node: Node,
        config: Config | None,
        server_state: ServerState,
        app_state: dict[str, Any] | None,
        caller: Caller | None = None,
    ) -> None:
        """Make a connection of `node`. Config and state of the app are uvicorn's, and not used.

        Args:
            node: What the connection belongs to.
            config: Not used.
            server_state: Where uvicorn looks for the connections that it has to end.
            app_state: Not used.
            caller: The app's call that has brought the connection.
        """
        self._node = node
        self._caller = caller
        self._state = server_state
        self._transport = cast(asyncio.Transport, None)
        self._session: Session | None = None
        self._library: StrictProtocol | None = None
        self._slow_reader: SlowReader | None = None
        self._fragments: list[bytes] | None = None
        self._buffer: bytearray = _EMPTY
        self._need = 0
        self._opening: Opening | None = None
        self._postponed: bytes | bytearray = _EMPTY
        self._ignores_input = False

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from uvicorn's HTTP protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self._opening = Opening(self._transport, self._node, self._opened)
        self._transport.set_write_buffer_limits(high=min(RELAXED, self._node.settings.max_queue))
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn asks it for shutdown() only

    def open(self, read: Callable[[], Handshake], early: bytes) -> None:
        """Take over a connection whose upgrade request came through an app.

        Args:
            read: Checks the request. Raises `CommandError` if it must be refused.
            early: What the client has sent behind its request.
        """
        assert self._opening is not None
        self._opening.begin(read)
        if early:
            self.data_received(early)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the session."""
        self._state.connections.discard(self)
        self.resume_writing()
        if self._session is not None:
            self._node.counters.closes[close_code(self._library)] += 1
            self._session.lost()
        elif self._opening is not None:
            self._opening.lost()
        if self._caller is not None:
            self._caller.ended()
        self._break_cycles()

    def _break_cycles(self) -> None:
        """Break the cycles of references, so that the memory is released now: the garbage collector runs seldom."""
        self._session = self._opening = self._caller = None
        if self._library is not None:
            self._library.parser.close()

    def pause_writing(self) -> None:
        """The client has more than `RELAXED` bytes to read: watch it, so that other clients do not suffer."""
        if self._session is not None:
            self._slow_reader = SlowReader(self._transport, self._session, self._node)

    def resume_writing(self) -> None:
        """The client has caught up, or is gone: stop watching it."""
        if self._slow_reader is not None:
            self._slow_reader.end()
            self._slow_reader = None

    def eof_received(self) -> bool:
        """Let the transport close: the client has closed its side."""
        return False

    def data_received(self, data: bytes | bytearray) -> None:
        """Take what was received: first the upgrade request, then frames."""
        session = self._session
        if session is None:
            if self._opening is not None:
                self._opening.receive(bytes(data))
            return
        session.heard = True
        # Nearly every read brings exactly one short text frame, so that case comes first and does what `cut` would do.
        # It calls no functions of ours: the calls would cost more than the work. Here and on the rest of the path of a
        # post, a callable that is stored in an attribute becomes a local variable before it is called: CPython 3.11
        # looks for a method first where both are one expression, and that costs ten times as much.
        alone = len(data) > 6 and len(data) + 122 == data[1] < 0xFE and data[0] == TEXT
        if alone and not self._buffer and self._library is None and (budget := session.budget).left > 0.0:
            budget.left -= FRAME
            payload = apply_mask(data[6:], data[2:6])
            now = self._node.now
            if payload.isascii() or is_utf8(payload):
                session.receive(payload, now())
            else:
                session.close(Close.INVALID_UTF8, now())
            return
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return
            data, self._buffer = self._buffer, _EMPTY
        self._read(data, session)

    def _read(self, data: bytes | bytearray, session: Session) -> None:
        """Take all frames of `data`, or as many as the user's budget allows; the rest then waits for a later turn."""
        position, end, budgets = 0, len(data), self._node.budgets
        while position < end and not self._ignores_input:
            budget = session.budget
            if budget.left <= 0 and not budgets.allows(budget):
                self._postpone(data[position:], session)
                return
            began = budgets.clock()
            if self._library is None:
                position = self._read_quickly(data, position, session)
            else:
                self._receive_with_library(data[position : position + PIECE], session)
                position += PIECE
            budget.left -= budgets.clock() - began

    def _read_quickly(self, data: bytes | bytearray, start: int, session: Session) -> int:
        """Take a batch of text frames, or keep an incomplete one; return the position behind what was taken."""
        payloads, position, need = cut(data, start)
        now = self._node.now()
        for payload in payloads:
            self._receive_text(payload, session, now)
        if position > start or self._library is not None:  # there may be more frames, or the session was closed
            return position
        if not need or need > self._node.settings.max_command + MAX_HEADER:
            self._library_protocol()
            return position
        self._buffer, self._need = bytearray(data[position:]), need
        return len(data)

    def _postpone(self, rest: bytes | bytearray, session: Session) -> None:
        """Stop reading, and keep the rest of what was read until the user's budget allows more."""
        self._postponed = rest
        session.pause(self._node.now())
        if self._transport.is_reading():
            self._transport.pause_reading()
        self._node.budgets.wait(session.budget, self._read_postponed)

    def _read_postponed(self) -> None:
        session = self._session
        if session is None or self._transport.is_closing():
            self._postponed = _EMPTY
            return
        rest, self._postponed = self._postponed, _EMPTY
        self._read(rest, session)
        if not self._postponed and not self._ignores_input and not self._transport.is_closing():
            session.resume(self._node.now())
            self._transport.resume_reading()

    @staticmethod
    def _receive_text(payload: bytes, session: Session, now: float) -> None:
        if payload.isascii() or is_utf8(payload):
            session.receive(payload, now)
        else:
            session.close(Close.INVALID_UTF8, now)

    # --- the opening handshake ---

    def _opened(self, wire: Wire, identity: Identity | None, early: bytes, app: AppSide | None) -> None:
        """Begin the session, and take the frames that came before it."""
        self._opening = None
        node = self._node
        session = Session(secrets.token_urlsafe(9), wire, self._transport.write, self, node, node.now())
        session.app = app
        self._session = session
        node.admit(session)
        if self._caller is not None:
            self._caller.begun(session)
        if identity is not None or not wire.dialect.connects:
            session.adopt(identity)
        if early:
            self.data_received(early)

    # --- everything that is not a whole text frame ---

    def _library_protocol(self) -> StrictProtocol:
        """Return the library's protocol, which from now on gets everything that is received."""
        if self._library is None:
            self._library = StrictProtocol(self._node.settings.max_command, _LOG)
            if self._buffer:
                self._library.receive_data(bytes(self._buffer))
                self._buffer = _EMPTY
        return self._library

    def _receive_with_library(self, data: bytes | bytearray, session: Session) -> None:
        protocol = self._library_protocol()
        protocol.receive_data(bytes(data))
        for frame, answers in protocol.steps():
            self._receive_frame(frame, session)
            if self._ignores_input or self._transport.is_closing():  # flooding; no pong may follow the close frame
                return
            self._send_from_library(answers, session)
        if protocol.state is not State.OPEN and not session.closing:
            session.ending(self._node.now())
        self._send_from_library(protocol.data_to_send(), session)
        if protocol.idle and not session.closing:  # usually after a ping: frames can take the fast path again
            protocol.parser.close()
            self._library = None

    def _receive_frame(self, frame: Frame, session: Session) -> None:
        now = self._node.now()
        is_data = frame.opcode in _DATA
        if session.closing or not is_data or (not frame.fin and len(frame.data) < TINY):
            session.waste(now)
        if session.closing or not is_data:
            return  # the library answers pings and the close frame
        if frame.opcode is Opcode.BINARY:
            session.close(Close.BINARY, now)
            return
        if frame.opcode is Opcode.TEXT:
            self._fragments = [bytes(frame.data)]
        elif self._fragments is not None and frame.data:
            self._fragments.append(bytes(frame.data))
        if frame.fin and self._fragments is not None:
            payload = b"".join(self._fragments)
            self._fragments = None
            self._receive_text(payload, session, now)

    def _send_from_library(self, answers: list[bytes], session: Session) -> None:
        """Send the library's answers, in order with everything else; an empty one means end of stream."""
        for data in answers:
            if data:
                self._node.send(session, data)
            else:  # after the flush, which is scheduled already
                self._node.after_tick(self._transport.close)

    # --- called by the session (`hubbub.session.Link`) ---

    def close(self, code: Close) -> None:
        """Send a close frame and wait for the client's; the session limits that wait."""
        session, protocol = self._session, self._library_protocol()
        assert session is not None
        if protocol.state is State.OPEN:
            protocol.send_close(code, CLOSE_RULES[code].reason)
        self._send_from_library(protocol.data_to_send(), session)
        if code is Close.FLOODING:
            self._ignores_input = True
            if self._transport.is_reading():
                self._transport.pause_reading()

    def ping(self) -> None:
        """Send a ping. The pong, like everything that is received, proves that the client is alive."""
        assert self._session is not None
        self._node.send(self._session, PING)

    def abort(self) -> None:
        """Reset the connection; what the system has not sent yet is dropped."""
        reset(self._transport)

    @property
    def node(self) -> Node:
        """What the connection belongs to."""
        return self._node

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops. The node closes its connections, spread over time."""
        if self._session is None:
            self._transport.close()
        else:
            self._node.begin_drain()
