"""`ServerProtocol` of the WebSocket library, with two corrections that the Autobahn cases ask for."""

from __future__ import annotations

import logging

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from hubbub.errors import CLOSE_RULES


class StrictProtocol(ServerProtocol):
    """The full WebSocket protocol, after the opening handshake.

    - What it answers by itself (pongs, close) is kept with the frame that it answers, so that it is sent after the
      answers to earlier frames of the same piece and before those to later ones (RFC 6455, section 5.5.3).
    - A close frame may come between the fragments of a message, like every control frame (section 5.4).

    Args:
        max_size: Most bytes of one message; a larger one ends the connection with 1009.
        logger: The library logs to it.
    """

    def __init__(self, max_size: int, logger: logging.Logger) -> None:
        super().__init__(state=State.OPEN, max_size=max_size, logger=logger)
        self._steps: list[tuple[Frame, list[bytes]]] = []
        self._unread = 0  # bytes received that belong to no complete frame yet

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes and parse them."""
        self._unread += len(data)
        super().receive_data(data)

    @property
    def idle(self) -> bool:
        """Whether no frame and no message is incomplete, and the connection is open."""
        return self._unread == 0 and self.current_size is None and self.state is State.OPEN

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame, and keep the library's answers to it. The library calls this for each frame."""
        self._unread -= _size(frame)
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)
        answers = self.data_to_send()
        self._steps.append((frame, answers))
        self.events.clear()

    def steps(self) -> list[tuple[Frame, list[bytes]]]:
        """Return the frames since the last call, each with its answers; `data_to_send` then has the rest to send."""
        steps, self._steps = self._steps, []
        return steps


def _size(frame: Frame) -> int:
    """Return how many bytes a frame took, masked and with the shortest header (RFC 6455, section 5.2).

    A frame with a longer header took more. Then some bytes are never counted as part of a frame, and the protocol is
    never `idle` again, which is the safe side.
    """
    length = len(frame.data)
    return 6 + length + (0 if length < 126 else 2 if length < 65_536 else 8)


def close_code(protocol: StrictProtocol | None) -> str:
    """Return the code that a connection ended with, as a label for the metrics (RFC 6455, section 7.1.5).

    It is the code in our close frame, which repeats the client's code if the client closed first; 1006 if there was no
    close frame; "other" for a code that the client made up.
    """
    close = None if protocol is None else protocol.close_sent or protocol.close_rcvd
    code = 1006 if close is None else close.code
    return str(code) if 1000 <= code <= 1015 or code in CLOSE_RULES else "other"
