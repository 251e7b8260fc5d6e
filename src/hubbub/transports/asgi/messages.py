"""What the fan-out writes, as ASGI messages. Pure.

The fan-out joins the frames of a tick, and writes the same bytes to all members of a lane. ASGI has one message for
each frame, and its text is decoded. So the bytes are taken apart, once for all members.
"""

from __future__ import annotations

from typing import Any

from hubbub.errors import CLOSE_RULES, Close
from hubbub.transports.websocket.frames import TEXT

CLOSE = 0x88
"""First byte of a close frame."""


def close_frame(code: Close, reason: str | None = None) -> bytes:
    """Return a close frame (RFC 6455, section 5.5.1) with a reason of at most 123 bytes."""
    body = code.to_bytes(2, "big") + (CLOSE_RULES[code].reason if reason is None else reason).encode()
    return bytes((CLOSE, len(body))) + body


class Messages:
    """Takes frames apart, and remembers the last ones."""

    __slots__ = ("_data", "_messages")

    def __init__(self) -> None:
        self._data = b""
        self._messages: list[tuple[dict[str, Any], int]] = []

    def of(self, data: bytes) -> list[tuple[dict[str, Any], int]]:
        """Return the messages of whole frames, each with the number of its bytes. They must not be changed.

        Args:
            data: Text frames as `text_frame` makes them, and close frames.
        """
        if data is not self._data:
            self._data, self._messages = data, _split(data)
        return self._messages


def _split(data: bytes) -> list[tuple[dict[str, Any], int]]:
    messages: list[tuple[dict[str, Any], int]] = []
    position, end = 0, len(data)
    while position < end:
        first, length = data[position], data[position + 1]
        start = position + 2
        if length == 126:
            start = position + 4
            length = int.from_bytes(data[position + 2 : start], "big")
        elif length == 127:
            start = position + 10
            length = int.from_bytes(data[position + 2 : start], "big")
        stop = start + length
        if first == TEXT:
            message: dict[str, Any] = {"type": "websocket.send", "text": data[start:stop].decode()}
        else:
            assert first == CLOSE, first
            code = int.from_bytes(data[start : start + 2], "big")
            message = {"type": "websocket.close", "code": code, "reason": data[start + 2 : stop].decode()}
        messages.append((message, stop - position))
        position = stop
    return messages
