"""A blocking WebSocket client whose bytes are made by hand: for threads, and for scripts without an event loop.

Each call does its work before it returns, so what a client does happens exactly when it is written.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from support.frames import GUEST_KEY, HANDSHAKE, command
from support.waiting import PATIENCE


class Socket:
    """A TCP connection to a server on this machine; a WebSocket after `upgrade`."""

    def __init__(self, port: int, *, receive_buffer: int | None = None, timeout: float = PATIENCE) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # Ended by a reset: a million clean ends would leave no free ports for a minute.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send `data`, however broken it is."""
        self.socket.sendall(data)

    def upgrade(self, handshake: bytes = HANDSHAKE) -> None:
        """Become a WebSocket."""
        self.send(handshake)
        head = self.head()
        assert head.startswith(b"HTTP/1.1 101 "), head

    def head(self) -> bytes:
        """Return the head of an HTTP answer."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        return head

    def skip(self, size: int) -> None:
        """Read over `size` bytes."""
        while len(self._buffer) < size:
            self._more()
        self._buffer = self._buffer[size:]

    def frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        while len(self._buffer) < 2:
            self._more()
        size, start = self._buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            while len(self._buffer) < start:
                self._more()
            size = int.from_bytes(self._buffer[2:start], "big")
        while len(self._buffer) < start + size:
            self._more()
        opcode, payload = self._buffer[0] & 0x0F, self._buffer[start : start + size]
        self._buffer = self._buffer[start + size :]
        return opcode, payload

    def event(self) -> dict[str, Any]:
        """Return the next text frame, read."""
        opcode, payload = self.frame()
        while opcode != 1:
            assert opcode != 8, payload
            opcode, payload = self.frame()
        event: dict[str, Any] = json.loads(payload)
        return event

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return its reply; frames that come before it are dropped."""
        self.send(command(do, 0, **fields))
        while (answer := self.event()).get("id") != 0:
            pass
        return answer

    def close_code(self) -> int:
        """Read until the close frame and return its code; 1006 if the connection ended without one."""
        try:
            while (got := self.frame())[0] != 8:
                pass
        except ConnectionError:
            return 1006
        return int.from_bytes(got[1][:2], "big")

    def told_to_leave(self) -> int | None:
        """Read without waiting; return the close code if it has arrived, 1006 if the connection ended without one."""
        self.socket.setblocking(False)
        try:
            return self.close_code()
        except BlockingIOError:
            return None

    def cut(self) -> None:
        """Reset the connection."""
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._buffer += data


def member(port: int, guest: str, group: str, **options: Any) -> Socket:
    """Connect, identify and join."""
    one = Socket(port, **options)
    one.upgrade()
    assert "ok" in one.ask(do="connect", guest=guest, guest_key=GUEST_KEY)
    assert "ok" in one.ask(do="join", group=group)
    return one
