"""What several test files need: tokens made without our own code, and a client that speaks dialect ``v1`` by hand."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import deque
from typing import Any

import jwt
from websockets.asyncio.client import ClientConnection, connect

from hubbub.server import Server

SECRET = "a secret for tests, of 32 bytes or more"
PATIENCE = 5.0
"""Seconds after which something that a test waits for has failed; nothing ever waits that long when all is well."""


def token(user: str = "alice", ttl: float = 3600, secret: str = SECRET, **claims: Any) -> str:
    """Return a token for `user` that ends in `ttl` seconds; a claim of None is left out."""
    every = {"sub": user, "exp": int(time.time() + ttl), **claims}
    return jwt.encode({name: value for name, value in every.items() if value is not None}, secret, "HS256")


def bearer(user: str = "alice", **claims: Any) -> dict[str, str]:
    """Return the header that carries a token for `user`."""
    return {"Authorization": f"Bearer {token(user, **claims)}"}


def server_bearer(user: str = "backend", **claims: Any) -> dict[str, str]:
    """Return the header that carries a server token."""
    return bearer(user, role="server", **claims)


class Peer:
    """One WebSocket. Commands are sent by hand; events that come in between are kept in `events`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: deque[dict[str, Any]] = deque()
        self.welcome: dict[str, Any] = {}
        self._ids = itertools.count(1)

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return its whole reply, ``{"id", "ok"}`` or ``{"id", "error"}``."""
        command_id = next(self._ids)
        await self.socket.send(json.dumps({"id": command_id, "do": do, **fields}))
        while True:
            frame = await self.frame()
            if "id" in frame:
                assert frame["id"] == command_id
                return frame
            self.events.append(frame)

    async def do(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a command that succeeds, and return what is ``ok``."""
        reply = await self.ask(do, **fields)
        assert "ok" in reply, reply
        return reply["ok"]

    async def fail(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a command that is refused, and return the ``error``."""
        reply = await self.ask(do, **fields)
        assert "error" in reply, reply
        return reply["error"]

    async def event(self) -> dict[str, Any]:
        """Return the next event."""
        return self.events.popleft() if self.events else await self.frame()

    async def frame(self) -> dict[str, Any]:
        """Return the next frame, whatever it is."""
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.socket.recv())

    async def quiet(self) -> bool:
        """Whether nothing has come: the answer to a command sent now is the next thing heard."""
        await self.ask("groups", limit=1)
        return not self.events

    async def closed(self) -> int:
        """Wait until the server has closed the connection, and return the close code."""
        async with asyncio.timeout(PATIENCE):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code


async def open_peer(
    server: Server,
    *,
    guest: str | None = None,
    token: str | None = None,
    group: str | None = None,
    query: str = "",
    **options: Any,
) -> Peer:
    """Connect; identify as a guest or with a token if one is given; join `group` if one is given.

    The caller closes ``peer.socket``; the fixture `peers` does that by itself.
    """
    url = server.url.replace("http", "ws", 1) + "/v1/connect" + query
    socket = await connect(url, subprotocols=["hubbub.v1"], proxy=None, max_queue=None, **options)
    peer = Peer(socket)
    if guest is not None:
        peer.welcome = await peer.do("connect", guest=guest)
    elif token is not None:
        peer.welcome = await peer.do("connect", token=token)
    if group is not None:
        await peer.do("join", group=group)
    return peer


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

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # the server may have cut it
            await self._writer.wait_closed()


async def open_raw(server: Server) -> Raw:
    """Connect to the port of `server`. The caller closes it; the fixture `raw` does that by itself."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    return Raw(*await asyncio.open_connection(host, int(port)))
