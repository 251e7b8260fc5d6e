"""WebSocket frames (RFC 6455, section 5.2) and commands as bytes, for clients that write and read their own.

The masking key is zero, which changes nothing, so a frame can be repeated and sent by many clients.
"""

from __future__ import annotations

import json
from typing import Any

CONTINUATION, UNFINISHED_TEXT = 0x00, 0x01
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
"""First bytes of frames: the FIN bit and the opcode."""

HANDSHAKE = (
    b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""A valid opening handshake."""

GUEST_KEY = "the key of all guests in the tests"
"""With it, several connections can have the same guest name."""


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """Return a whole frame, masked as a client must."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def command(do: str, id: int | None = None, **fields: Any) -> bytes:
    """Return the frame of a command in dialect ``v1``; without an id the server does not reply to it."""
    head = {} if id is None else {"id": id}
    return frame(json.dumps({**head, "do": do, **fields}).encode())


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Split what a server sent into frames, each as (first byte, payload); return them, and the bytes that are left."""
    found, at = [], 0
    while len(data) - at >= 2:
        size, body = data[at + 1], at + 2
        if size == 126:
            size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if body + size > len(data) or body > len(data):
            break
        found.append((data[at], data[body : body + size]))
        at = body + size
    return found, data[at:]
