"""WebSocket frames for the common case (RFC 6455, section 5.2): build text frames, cut whole masked ones out. Pure.

Whatever is not a complete, masked, unfragmented text frame under 64 KiB, or a pong, is left for the full
implementation of the protocol, byte for byte, so this file holds no second opinion on what is an error.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask

TEXT = 0x81
"""First byte of a final text frame."""
PONG = 0x8A
"""First byte of a pong."""
PING = b"\x89\x00"
"""A whole ping from the server, without data."""

# A table is quicker than making the header, and nearly all frames are short.
_HEADERS = tuple(
    bytes((TEXT, length)) if length < 126 else b"\x81\x7e" + length.to_bytes(2, "big") for length in range(2048)
)


def text_frame(payload: bytes) -> bytes:
    """Return `payload` as one unmasked text frame, as servers send it."""
    length = len(payload)
    if length < 2048:
        return _HEADERS[length] + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def cut(data: bytes | bytearray) -> tuple[list[bytes], int, int]:
    """Cut the leading whole text frames out of `data`.

    Returns:
        The unmasked payloads, how many bytes of `data` they took, and how many bytes the rest must have before looking
        again makes sense: 0 if the rest begins with something that only the full implementation may judge.
    """
    payloads: list[bytes] = []
    position, end = 0, len(data)
    while True:
        if end - position < 2:
            return payloads, position, 2
        first, second = data[position], data[position + 1]
        if (first != TEXT and first != PONG) or second < 0x80 or second == 0xFF:
            return payloads, position, 0
        length, mask = second & 0x7F, position + 2
        if length == 126:
            if first == PONG:
                return payloads, position, 0
            if end - position < 4:
                return payloads, position, 4
            length, mask = int.from_bytes(data[mask : mask + 2], "big"), position + 4
            if length < 126:  # not the shortest form, which is an error
                return payloads, position, 0
        body = mask + 4
        if end < body + length:
            return payloads, position, body + length - position
        if first == TEXT:
            payloads.append(apply_mask(data[body : body + length], data[mask:body]))
        position = body + length
