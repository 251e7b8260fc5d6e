"""Tokens made without our own code, and `Peer`, a client that follows the protocol: dialect ``v1``, written by hand."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import deque
from typing import Any

import jwt
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from hubbub.server import Server
from support.frames import GUEST_KEY
from support.raw import Raw as Raw
from support.raw import open_raw as open_raw
from support.waiting import PATIENCE

SECRET = "a secret for tests, of 32 bytes or more"


def token(user: str = "alice", ttl: float = 3600, secret: str = SECRET, **claims: Any) -> str:
    """Return a token for `user` that expires in `ttl` seconds; a claim that is None is left out."""
    every = {"sub": user, "exp": int(time.time() + ttl), **claims}
    return jwt.encode({name: value for name, value in every.items() if value is not None}, secret, "HS256")


def bearer(user: str = "alice", **claims: Any) -> dict[str, str]:
    """Return the header that carries a token for `user`."""
    return {"Authorization": f"Bearer {token(user, **claims)}"}


def server_bearer(user: str = "backend", **claims: Any) -> dict[str, str]:
    """Return the header that carries a server token."""
    return bearer(user, role="server", **claims)


class Peer:
    """One WebSocket. Events that arrive while a command waits for its reply are kept in `events`."""

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
        """Send a command that succeeds, and return its result, what ``ok`` holds."""
        reply = await self.ask(do, **fields)
        assert "ok" in reply, reply
        result: dict[str, Any] = reply["ok"]
        return result

    async def fail(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a command that is refused, and return its ``error``."""
        reply = await self.ask(do, **fields)
        assert "error" in reply, reply
        error: dict[str, Any] = reply["error"]
        return error

    async def event(self) -> dict[str, Any]:
        """Return the next event."""
        return self.events.popleft() if self.events else await self.frame()

    async def frame(self) -> dict[str, Any]:
        """Return the next frame, whatever it is."""
        async with asyncio.timeout(PATIENCE):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        return frame

    async def quiet(self) -> bool:
        """Return whether no event has arrived: the reply to a command sent now is the next frame."""
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
    guest_key: str = GUEST_KEY,
    token: str | None = None,
    group: str | None = None,
    query: str = "",
    **options: Any,
) -> Peer:
    """Connect; identify as a guest or with a token if one is given; join `group` if one is given.

    With the same `guest_key`, several peers can be the same guest.

    The caller closes ``peer.socket``; the fixture `peers` does that by itself.
    """
    url = server.url.replace("http", "ws", 1) + "/v1/connect" + query
    socket = await connect(url, subprotocols=[Subprotocol("hubbub.v1")], proxy=None, max_queue=None, **options)
    peer = Peer(socket)
    if guest is not None:
        peer.welcome = await peer.do("connect", guest=guest, guest_key=guest_key)
    elif token is not None:
        peer.welcome = await peer.do("connect", token=token)
    if group is not None:
        await peer.do("join", group=group)
    return peer
