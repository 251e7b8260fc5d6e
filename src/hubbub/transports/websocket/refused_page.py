"""Refuses a web page in the only way that its script can read: with a close frame.

A browser reports a refused handshake as 1006, without a reason. So the socket is accepted and closed in the same write.
There is no session, and no frame of the client is used, except the one that answers the close frame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from websockets.frames import Opcode
from websockets.protocol import State

from hubbub.errors import Close
from hubbub.transports.reset import reset
from hubbub.transports.websocket.strict import StrictProtocol

ANSWER_TIME = 1.0
"""Seconds that a client has to answer the close frame before it is cut."""

MAX_BYTES = 1024
"""Most bytes that are read while waiting for the answer; a client that sends more is cut when its time is up."""

_LOG = logging.getLogger("hubbub.websocket")


class RefusedPage:
    """A connection that is being closed with 4008.

    Args:
        transport: The connection.
        accepted: The 101 answer.
        reason: The reason of the close frame, at most 123 bytes.
        loop: Runs the timer.
        ended: Called once, when the connection is lost.
    """

    __slots__ = ("_ended", "_protocol", "_read", "_timer", "_transport")

    def __init__(
        self,
        transport: asyncio.Transport,
        accepted: bytes,
        reason: str,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._ended = ended
        self._read = 0
        self._protocol = StrictProtocol(MAX_BYTES, _LOG)
        self._protocol.send_close(Close.ORIGIN, reason)
        transport.write(accepted + b"".join(self._protocol.data_to_send()))
        self._timer = loop.call_later(ANSWER_TIME, reset, transport)

    def receive(self, data: bytes) -> None:
        """Look for the answer to the close frame."""
        self._read += len(data)
        if self._read > MAX_BYTES:
            self._transport.pause_reading()
            return
        self._protocol.receive_data(data)
        answered = any(frame.opcode is Opcode.CLOSE for frame, _ in self._protocol.steps())
        if answered or self._protocol.state is State.CLOSED or self._protocol.parser_exc is not None:
            self._transport.close()

    def lost(self) -> None:
        """Stop the timer, and release what refers to this object."""
        self._timer.cancel()
        self._protocol.parser.close()
        self._ended()
