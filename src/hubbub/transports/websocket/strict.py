"""`ServerProtocol` of the WebSocket library, with two corrections that the Autobahn cases ask for."""

from __future__ import annotations

import logging

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol


class StrictProtocol(ServerProtocol):
    """The full implementation of the protocol, from after the opening handshake on.

    - What it answers by itself (pongs, close) is kept with the frame that it answers, so that it does not leave before
      the answers to earlier frames of the same piece, or after those to later ones (RFC 6455, section 5.5.3).
    - A close frame may come between the fragments of a message, as every control frame (section 5.4).

    Args:
        max_size: Most bytes of one message; a larger one fails the connection with 1009.
        logger: Where the library logs.
    """

    def __init__(self, max_size: int, logger: logging.Logger) -> None:
        super().__init__(state=State.OPEN, max_size=max_size, logger=logger)
        self._steps: list[tuple[Frame, list[bytes]]] = []
        self._unread = 0  # bytes received that belong to no whole frame yet

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes, as the library does."""
        self._unread += len(data)
        super().receive_data(data)

    @property
    def idle(self) -> bool:
        """Whether everything that came was whole frames of whole messages, and the connection goes on."""
        return self._unread == 0 and self.current_size is None and self.state is State.OPEN

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame, called by the library for each; what it answers is set aside."""
        self._unread -= _size(frame)
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)
        answers = self.data_to_send()
        self._steps.append((frame, answers))
        self.events.clear()

    def steps(self) -> list[tuple[Frame, list[bytes]]]:
        """Return the frames since the last call, each with its answers; what else is to be sent comes after them."""
        steps, self._steps = self._steps, []
        return steps


def _size(frame: Frame) -> int:
    """Return how many bytes a frame took, masked and with the shortest header (RFC 6455, section 5.2).

    One with a longer header took more, so it leaves bytes over that never find their frame, and the protocol is not
    `idle` any more: the safe side.
    """
    length = len(frame.data)
    return 6 + length + (0 if length < 126 else 2 if length < 65_536 else 8)
