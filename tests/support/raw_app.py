"""An HTTP server that answers with bytes made by hand, or not at all: what an app should not do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawApp:
    """What came.

    Attributes:
        url: Where it listens.
        requests: The heads and bodies, in the order in which they came.
        connections: How many connections were made.
        behave: What happens after each request; False of it ends the connection.
    """

    def __init__(self, behave: Behave) -> None:
        self.url = ""
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0
        self.behave = behave
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
                self.requests.append((head, await reader.readexactly(int(length.partition(":")[2]))))
                await self.behave(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()


def answers(*data: bytes, close: bool = False) -> Behave:
    """Return what writes these bytes after each request, and then closes the connection if asked to."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for each in data:
            writer.write(each)
            await writer.drain()
        if close:
            writer.close()

    return behave


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await reader.read()


@asynccontextmanager
async def serve_raw(behave: Behave, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawApp]:
    """Run such a server on a free port; with a certificate, at ``https://localhost``."""
    app = RawApp(behave)
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0, limit=1 << 20, ssl=tls)
    address = "http://127.0.0.1" if tls is None else "https://localhost"
    app.url = f"{address}:{server.sockets[0].getsockname()[1]}/hubbub"
    try:
        yield app
    finally:
        server.close()
        app.cut()
        await server.wait_closed()
