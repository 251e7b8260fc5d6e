"""The WebSocket transport: one asyncio protocol per connection.

uvicorn parses the upgrade request and hands the connection over. From then on frames take one of two lanes. Whole text
frames are cut out of the buffer directly (`frames`); everything else (ping, close, fragments, errors) goes to
`StrictProtocol`, the reference implementation, which is made when it is needed and keeps the connection until nothing
is half done.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from functools import partial
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from hubbub.auth.identity import Identity
from hubbub.dialects.base import Wire
from hubbub.dialects.skapi import Skapi
from hubbub.dialects.v1 import V1
from hubbub.errors import CLOSE_RULES, Close, CommandError, ErrorCode
from hubbub.node import Node
from hubbub.session import Session
from hubbub.time_budget import FRAME
from hubbub.transports.reset import reset
from hubbub.transports.websocket.backlog import RELAXED
from hubbub.transports.websocket.frames import PING, TEXT, apply_mask, cut, text_frame
from hubbub.transports.websocket.handshake import Handshake, Refused, parse, refusal, response
from hubbub.transports.websocket.slow_reader import SlowReader
from hubbub.transports.websocket.strict import StrictProtocol

ROUTES: dict[str, Wire] = {
    "/v1/connect": Wire(V1(), text_frame),
    "/skapi/connect": Wire(Skapi(), text_frame),
}
"""Which dialect is spoken where. A new dialect is one line here."""


MAX_HEADER = 14
"""Most bytes in front of a masked frame's payload."""

PIECE = 512
"""Bytes that the full implementation gets at a time: a read may hold 40,000 pings, and others want their turn."""

TINY = 1024
"""Bytes of a fragment below which it counts as wasted; the last one of a message does not count."""

EARLY = 8192
"""Most bytes of frames that a connection may send before its request is answered: thousands may wait at the door."""

LONGEST_WAIT = 5.0
"""Seconds that a newcomer may have to wait at the door; if it would be longer, it is told to try again later."""

_LOG = logging.getLogger("hubbub.websocket")
_LOG.setLevel(logging.INFO)  # at DEBUG the library would log frames, and tokens with them

_DATA = frozenset((Opcode.TEXT, Opcode.BINARY, Opcode.CONT))

_EMPTY = bytearray()  # shared by all connections without a part of a frame; never changed


class WebSocketProtocol(asyncio.Protocol):
    """One connection, from the upgrade to the end. The `Link` of its `Session`."""

    __slots__ = (
        "_asked",
        "_buffer",
        "_deaf",
        "_fragments",
        "_held",
        "_need",
        "_node",
        "_session",
        "_slow",
        "_state",
        "_transport",
        "_wslib",
    )

    def __init__(self, node: Node, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._node = node
        self._state = server_state
        self._transport = cast(asyncio.Transport, None)
        self._session: Session | None = None
        self._wslib: StrictProtocol | None = None
        self._slow: SlowReader | None = None
        self._fragments: list[bytes] | None = None
        self._buffer: bytearray = _EMPTY
        self._need = 0
        self._asked = False
        self._held: bytes | bytearray = _EMPTY
        self._deaf = False

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from uvicorn's HTTP protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=min(RELAXED, self._node.settings.max_queue))
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn asks it for shutdown() only

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the session."""
        self._state.connections.discard(self)
        self.resume_writing()
        if self._session is not None:
            self._node.counters.closes[_close_code(self._wslib)] += 1
            self._session.lost()
            self._let_go()

    def _let_go(self) -> None:
        """Break the cycles, so that the memory is released now and not when the garbage collector comes."""
        self._session = None
        if self._wslib is not None:
            self._wslib.parser.close()

    def pause_writing(self) -> None:
        """More than a little waits: the other side does not keep up, and others must not pay for it. Watch it."""
        if self._session is not None:
            self._slow = SlowReader(self._transport, self._session, self._node)

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._slow is not None:
            self._slow.end()
            self._slow = None

    def eof_received(self) -> bool:
        """Close with the other side."""
        return False

    def data_received(self, data: bytes | bytearray) -> None:
        """Take what came: first the upgrade request, then frames."""
        session = self._session
        if session is None:
            self._receive_early(bytes(data))
            return
        session.heard = True
        # Nearly every read brings exactly one short text frame, so what `cut` would find is looked for here first; no
        # functions, for the calls would cost more than what they do.
        alone = len(data) > 6 and len(data) + 122 == data[1] < 0xFE and data[0] == TEXT
        if alone and not self._buffer and self._wslib is None and (budget := session.budget).left > 0:
            budget.left -= FRAME
            payload = apply_mask(data[6:], data[2:6])
            if payload.isascii() or _is_utf8(payload):
                session.receive(payload, self._node.now())
            else:
                session.close(Close.INVALID_UTF8, self._node.now())
            return
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return
            data, self._buffer = self._buffer, _EMPTY
        self._read(data, session)

    def _read(self, data: bytes | bytearray, session: Session) -> None:
        """Take all frames of `data`, or as many as the budget allows; then wait for a later turn with the rest."""
        position, end, budgets = 0, len(data), self._node.budgets
        while position < end and not self._deaf:
            budget = session.budget
            if budget.left <= 0 and not budgets.allows(budget):
                self._pause(data[position:], session)
                return
            began = budgets.clock()
            if self._wslib is None:
                position = self._read_quickly(data, position, session)
            else:
                self._receive_by_the_book(data[position : position + PIECE], session)
                position += PIECE
            budget.left -= budgets.clock() - began

    def _read_quickly(self, data: bytes | bytearray, start: int, session: Session) -> int:
        """Take a batch of frames, and what is left of the last one; return how far that came."""
        payloads, position, need = cut(data, start)
        now = self._node.now()
        for payload in payloads:
            self._receive_text(payload, session, now)
        if position > start or self._wslib is not None:  # there may be more to cut out; or the session was closed
            return position
        if not need or need > self._node.settings.max_command + MAX_HEADER:
            self._by_the_book()
            return position
        self._buffer, self._need = bytearray(data[position:]), need
        return len(data)

    def _pause(self, rest: bytes | bytearray, session: Session) -> None:
        """Read nothing more, and keep the rest of what was read, until the user's budget allows to go on."""
        self._held = rest
        session.pause(self._node.now())
        if self._transport.is_reading():
            self._transport.pause_reading()
        self._node.budgets.wait(session.budget, self._go_on)

    def _go_on(self) -> None:
        session = self._session
        if session is None or self._transport.is_closing():
            self._held = _EMPTY
            return
        rest, self._held = self._held, _EMPTY
        self._read(rest, session)
        if not self._held and not self._deaf and not self._transport.is_closing():
            session.resume(self._node.now())
            self._transport.resume_reading()

    @staticmethod
    def _receive_text(payload: bytes, session: Session, now: float) -> None:
        if payload.isascii() or _is_utf8(payload):
            session.receive(payload, now)
        else:
            session.close(Close.INVALID_UTF8, now)

    # --- the opening handshake ---

    def _receive_early(self, data: bytes) -> None:
        """Take the request, and hold the frames that came right behind it until it is answered."""
        if not self._asked:
            self._asked = True
            self._upgrade(data)
        elif len(self._buffer) + len(data) <= EARLY:
            self._buffer = self._buffer + data
        else:  # more than a client sends before it knows whether it is let in
            reset(self._transport)

    def _upgrade(self, request: bytes) -> None:
        try:
            handshake, wire = self._check(request)
        except Refused as refused:
            self._refuse(refused)
            return
        if not self._node.admission.enter(partial(self._admit, handshake, wire)):
            self._transport.pause_reading()  # until its turn has come

    def _check(self, request: bytes) -> tuple[Handshake, Wire]:
        """Return what is asked for and in which language. Raises `Refused`."""
        node = self._node
        handshake = parse(request, node.settings.origins, local_only=node.settings.allow_guests)
        wire = ROUTES.get(handshake.path)
        if wire is None:
            text = f"There is no WebSocket at this path; try {' or '.join(ROUTES)}."
            raise Refused(404, ErrorCode.INVALID_REQUEST, text)
        if node.draining:
            raise _unavailable("The server is stopping.")
        if node.full:
            raise _unavailable("The server is full; try again later.")
        if node.admission.wait > LONGEST_WAIT:
            raise _unavailable("Too many come at once; try again later.")
        if handshake.token is None and not wire.dialect.connects:
            raise Refused(401, ErrorCode.UNAUTHORIZED, 'Put a token into the address: "?token=…".')
        return handshake, wire

    def _admit(self, handshake: Handshake, wire: Wire) -> None:
        """Answer the request: it may have waited, and the other side, or the server, may have had enough of it."""
        if self._transport.is_closing():
            return
        auth = self._node.auth
        try:
            if self._node.draining:
                raise _unavailable("The server is stopping.")
            if handshake.token is not None and auth.waits:
                self._transport.pause_reading()
                self._node.spawn(self._authenticate(handshake, wire))
                return
            self._open(handshake, wire, None if handshake.token is None else auth.check(handshake.token))
        except (Refused, CommandError) as refused:
            self._refuse(refused)
            return
        if not self._transport.is_reading():
            self._transport.resume_reading()

    async def _authenticate(self, handshake: Handshake, wire: Wire) -> None:
        assert handshake.token is not None
        try:
            identity = await self._node.auth.authenticate(handshake.token)
        except CommandError as refused:
            self._refuse(refused)
            return
        if not self._transport.is_closing():
            self._open(handshake, wire, identity)
            self._transport.resume_reading()

    def _open(self, handshake: Handshake, wire: Wire, identity: Identity | None = None) -> None:
        node = self._node
        session = Session(secrets.token_urlsafe(9), wire, self._transport.write, self, node, node.now())
        self._session = session
        self._transport.write(response(handshake, wire.dialect.subprotocol))
        node.admit(session)
        if identity is not None:
            session.adopt(identity)
        if self._buffer:
            early, self._buffer = self._buffer, _EMPTY
            self.data_received(early)

    def _refuse(self, refused: Refused | CommandError) -> None:
        self._node.counters.refused[refused.code] += 1
        self._transport.write(refusal(refused))
        self._transport.close()

    # --- the full implementation of the protocol ---

    def _by_the_book(self) -> StrictProtocol:
        if self._wslib is None:
            self._wslib = StrictProtocol(self._node.settings.max_command, _LOG)
            if self._buffer:
                self._wslib.receive_data(bytes(self._buffer))
                self._buffer = _EMPTY
        return self._wslib

    def _receive_by_the_book(self, data: bytes | bytearray, session: Session) -> None:
        protocol = self._by_the_book()
        protocol.receive_data(bytes(data))
        for frame, answers in protocol.steps():
            self._take(frame, session)
            if self._deaf or self._transport.is_closing():  # this was too much, and no pong may follow the close
                return
            self._send_by_the_book(answers, session)
        if protocol.state is not State.OPEN and not session.closing:
            session.ending(self._node.now())
        self._send_by_the_book(protocol.data_to_send(), session)
        if protocol.idle and not session.closing:  # a ping, as a rule: frames can take the fast lane again
            protocol.parser.close()
            self._wslib = None

    def _take(self, frame: Frame, session: Session) -> None:
        now = self._node.now()
        is_data = frame.opcode in _DATA
        if session.closing or not is_data or (not frame.fin and len(frame.data) < TINY):
            session.waste(now)
        if session.closing or not is_data:
            return  # ping and pong are answered by the library, close as well
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

    def _send_by_the_book(self, answers: list[bytes], session: Session) -> None:
        """Send what the library has to say, in order with everything else; an empty part means end of stream."""
        for data in answers:
            if data:
                self._node.send(session, data)
            else:  # after the flush, which is already scheduled
                self._node.after_tick(self._transport.close)

    # --- what the session asks (`hubbub.session.Link`) ---

    def close(self, code: Close) -> None:
        """Send a close frame and wait for the other side's; the session cuts the wait short."""
        session, protocol = self._session, self._by_the_book()
        assert session is not None
        if protocol.state is State.OPEN:
            protocol.send_close(code, CLOSE_RULES[code].reason)
        self._send_by_the_book(protocol.data_to_send(), session)
        if code is Close.FLOODING:
            self._deaf = True
            if self._transport.is_reading():
                self._transport.pause_reading()

    def ping(self) -> None:
        """Send a ping; the pong counts as any other sign of life."""
        assert self._session is not None
        self._node.send(self._session, PING)

    def abort(self) -> None:
        """Cut the connection without further words, and let the system forget what it has not sent yet."""
        reset(self._transport)

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops."""
        if self._session is None:
            self._transport.close()
        else:
            self._session.close(Close.GOING_AWAY, self._node.now())


def _unavailable(message: str) -> Refused:
    return Refused(503, ErrorCode.UNAVAILABLE, message, "Retry-After: 5\r\n")


def _close_code(protocol: StrictProtocol | None) -> str:
    """Return the code that a connection ended with: whoever spoke first; 1006 if nobody did (RFC 6455, 7.1.5)."""
    close = None if protocol is None else protocol.close_sent or protocol.close_rcvd
    code = 1006 if close is None else close.code
    return str(code) if 1000 <= code <= 1015 or code in CLOSE_RULES else "other"


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
