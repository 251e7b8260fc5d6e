"""An attacker: a TCP connection whose bytes are made by hand, and that reads only when told to."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

from websockets.frames import Frame, Opcode

from hubbub.server import Server
from support.clients import PATIENCE

REQUEST = (
    b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Attacker:
    """A TCP connection with a small receive buffer; reads only when told to."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.loop = asyncio.get_running_loop()
        self.rest = b""

    @classmethod
    async def connect(cls, server: Server, receive_buffer: int = 0) -> Attacker:
        """Open a TCP connection to `server`."""
        host, port = server.url.removeprefix("http://").rsplit(":", 1)
        made = socket.socket()
        made.setblocking(False)
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        attacker = cls(made)
        await attacker.loop.sock_connect(made, (host, int(port)))
        return attacker

    async def upgrade(self) -> None:
        """Do the opening handshake."""
        await self.send(REQUEST)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await self.read()
        assert head.startswith(b"HTTP/1.1 101 ")
        self.rest = head.partition(b"\r\n\r\n")[2]

    async def enter(self, guest: str, group: str) -> None:
        """Identify as `guest` and join `group`."""
        await self.upgrade()
        await self.send(text(f'{{"id":1,"do":"connect","guest":"{guest}"}}'))
        await self.send(text(f'{{"id":2,"do":"join","group":"{group}"}}'))
        while (await self.frame())[1][:7] != b'{"id":2':
            pass

    async def send(self, data: bytes) -> None:
        """Send all of `data`; raises `OSError` when the connection was cut."""
        async with asyncio.timeout(PATIENCE):
            await self.loop.sock_sendall(self.socket, data)

    async def read(self, most: int = 65_536) -> bytes:
        """Return what has come; nothing when the connection has ended."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.loop.sock_recv(self.socket, most)
            except ConnectionError:
                return b""

    async def frame(self) -> tuple[Opcode, bytes]:
        """Return the next frame; raises `EOFError` at the end of the connection."""
        while True:
            size, body = (self.rest[1], 2) if len(self.rest) > 1 else (0, 0)
            if size == 126 and len(self.rest) >= 4:
                size, body = int.from_bytes(self.rest[2:4], "big"), 4
            if body and (size < 126 or body == 4) and len(self.rest) >= body + size:
                found = Opcode(self.rest[0] & 0x0F), self.rest[body : body + size]
                self.rest = self.rest[body + size :]
                return found
            data = await self.read()
            if not data:
                raise EOFError
            self.rest += data

    async def fate(self) -> int | None:
        """Read to the end; return the close code, or None if the connection was cut without one."""
        with suppress(EOFError):
            while True:
                opcode, payload = await self.frame()
                if opcode is Opcode.CLOSE:
                    return int.from_bytes(payload[:2], "big")
        return None

    def abort(self) -> None:
        """Cut the connection."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def text(payload: str) -> bytes:
    """Return a text frame as clients send it."""
    return Frame(Opcode.TEXT, payload.encode()).serialize(mask=True)
