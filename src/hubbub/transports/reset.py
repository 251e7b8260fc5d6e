"""Resets a TCP connection, so that the system keeps nothing of it."""

from __future__ import annotations

import asyncio
import socket
import struct

_AT_ONCE = struct.pack("ii", 1, 0)  # linger: on, for no time (RST instead of FIN)


def reset(transport: asyncio.Transport) -> None:
    """Cut `transport`, and drop what the system has not sent yet, which the client may never read."""
    if not transport.is_closing() or transport.get_write_buffer_size():
        found = transport.get_extra_info("socket")
        if found is not None and found.fileno() >= 0:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
