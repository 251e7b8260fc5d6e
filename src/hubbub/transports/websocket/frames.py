"""WebSocket frames for the common case (RFC 6455, section 5.2): build text frames, cut whole masked ones out. Pure.

Everything but complete, masked, unfragmented text frames under 64 KiB and pongs is left to the WebSocket library, byte
for byte, so this file never decides what is an error.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask as apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask as apply_mask

TEXT = 0x81
"""First byte of a final text frame."""
PONG = 0x8A
"""First byte of a pong."""
PING = b"\x89\x00"
"""A whole ping from the server, without data."""

# A table is faster than building the header, and nearly all frames are short.
HEADERS = tuple(
    bytes((TEXT, length)) if length < 126 else b"\x81\x7e" + length.to_bytes(2, "big") for length in range(2048)
)


def text_frame(payload: bytes) -> bytes:
    """Return `payload` as one unmasked text frame, as servers send it."""
    length = len(payload)
    if length < 2048:
        return HEADERS[length] + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


BATCH_FRAMES = 16
"""Most frames that are cut out at once: a read may hold 40,000, and other connections must not wait for all of them."""

BATCH_BYTES = 4096
"""Bytes after which no further frame is cut out at once."""


def cut(data: bytes | bytearray, position: int = 0) -> tuple[list[bytes], int, int]:
    """Cut whole text frames out of `data`, from `position` on: all that there are, or a batch.

    Returns:
        The unmasked payloads, the position in `data` where they end, and how many bytes the rest must have before the
        next call can find a frame: 0 if the rest begins with something that only the library may judge, or if this was
        a batch. If there are payloads, the caller may also call again at once.
    """
    payloads: list[bytes] = []
    end = len(data)
    batch = position + BATCH_BYTES
    while position < end:
        if len(payloads) >= BATCH_FRAMES or position > batch:
            return payloads, position, 0
        if end - position < 6:  # not even the header and mask of the shortest frame
            return payloads, position, 6 if _may_be_fast(data, position) else 0
        first, second = data[position], data[position + 1]
        body = position + 6
        following = body + second - 0x80
        if not 0x80 <= second < 0xFE or (first != TEXT and first != PONG):
            if first != TEXT or second != 0xFE:
                return payloads, position, 0
            if end - position < 8:
                return payloads, position, 8
            length = data[position + 2] << 8 | data[position + 3]
            if length < 126:  # not the shortest form, which is an error
                return payloads, position, 0
            body = position + 8
            following = body + length
        if following > end:
            return payloads, position, following - position
        if first == TEXT:
            payloads.append(apply_mask(data[body:following], data[body - 4 : body]))
        position = following
    return payloads, position, 6


def _may_be_fast(data: bytes | bytearray, position: int) -> bool:
    """Return whether a frame, of which one to five bytes are known, may be one that this file handles."""
    first = data[position]
    if first != TEXT and first != PONG:
        return False
    return len(data) - position < 2 or 0x80 <= data[position + 1] < (0xFF if first == TEXT else 0xFE)


def is_utf8(payload: bytes) -> bool:
    """Return whether `payload` is valid UTF-8, as the payload of a text frame must be (RFC 6455, section 5.6)."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
