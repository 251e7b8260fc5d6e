"""TCP connections whose bytes are made by hand: HTTP on `Raw`, WebSocket on `RawWebSocket`."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

from websockets.frames import Opcode

from hubbub.server import Server
from support.frames import GUEST_KEY, HANDSHAKE, frame
from support.waiting import PATIENCE


class Raw:
    """A TCP connection on which a test speaks HTTP byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send `data`, however broken it is."""
        self._writer.write(data)
        async with asyncio.timeout(PATIENCE):
            await self._writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (names in lower case) and body of the next answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split()[1]), headers, body

    async def ended(self) -> bytes:
        """Wait until the server has closed the connection; return what else it sent."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    def half_close(self) -> None:
        """Close the sending side only."""
        self._writer.write_eof()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with suppress(ConnectionError):  # the server may have cut it
            await self._writer.wait_closed()


async def open_raw(server: Server) -> Raw:
    """Connect to the port of `server`. The caller closes it; the fixture `raw` does that by itself."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    return Raw(*await asyncio.open_connection(host, int(port)))


class RawWebSocket:
    """A TCP connection that reads only when told to; a WebSocket after `upgrade`."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.loop = asyncio.get_running_loop()
        self.rest = b""

    @classmethod
    async def connect(cls, server: Server, receive_buffer: int = 0) -> RawWebSocket:
        """Open a TCP connection to `server`."""
        host, port = server.url.removeprefix("http://").rsplit(":", 1)
        made = socket.socket()
        made.setblocking(False)
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection = cls(made)
        await connection.loop.sock_connect(made, (host, int(port)))
        return connection

    async def upgrade(self) -> None:
        """Do the opening handshake."""
        await self.send(HANDSHAKE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await self.read()
        assert head.startswith(b"HTTP/1.1 101 ")
        self.rest = head.partition(b"\r\n\r\n")[2]

    async def enter(self, guest: str, group: str) -> None:
        """Identify as `guest` and join `group`."""
        await self.upgrade()
        await self.send(text(f'{{"id":1,"do":"connect","guest":"{guest}","guest_key":"{GUEST_KEY}"}}'))
        await self.send(text(f'{{"id":2,"do":"join","group":"{group}"}}'))
        while (await self.frame())[1][:7] != b'{"id":2':
            pass

    async def send(self, data: bytes) -> None:
        """Send all of `data`; raises `OSError` when the connection was cut."""
        async with asyncio.timeout(PATIENCE):
            await self.loop.sock_sendall(self.socket, data)

    async def read(self, most: int = 65_536) -> bytes:
        """Return the bytes that have arrived; none at the end of the connection."""
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
    return frame(payload.encode())
