"""A server that breaks the protocol in one way, which the first part of the path names; real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

FRAMES = [row["frame"] for row in json.loads((Path(__file__).parents[1] / "vectors/hostile_frames.json").read_text())]
WELCOME = {"user_id": "a", "connection_id": "c", "node": "n", "ping": 25, "max_message": 65536, "expires": None}
LAST = json.dumps({"type": "notice", "message": "last", "sender": "a", "sender_cid": "c", "sender_rid": "g",
                   "code": "USER_LEFT", "user_connections": 0})  # fmt: skip
"""The event that a client must still receive after all the others."""
PAGE = {"list": [], "startKey": "end", "endOfList": True}
HUGE = 17 * 1024 * 1024

Trick = Callable[[ServerConnection, int], Awaitable[None]]


class Hostile:
    """What clients did, by trick.

    Attributes:
        connections: How many WebSockets, or refused attempts at one.
        commands: How many commands.
    """

    def __init__(self) -> None:
        self.url = ""
        self.connections: Counter[str] = Counter()
        self.commands: Counter[str] = Counter()
        self.open: set[ServerConnection] = set()

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        trick = request.path.split("/")[1]
        self.connections[trick] += 1
        self.open.add(connection)
        if trick == "refuse":
            return connection.respond(503, '{"error":' + "[" * 200_000)
        if trick == "cut":
            connection.transport.abort()
        return None

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        trick = connection.request.path.split("/")[1]
        answer = asyncio.create_task(self._answer(connection, trick))
        with suppress(ConnectionClosed):
            await TRICKS.get(trick, nothing)(connection, self.connections[trick])
            await connection.wait_closed()
        answer.cancel()

    async def _answer(self, connection: ServerConnection, trick: str) -> None:
        with suppress(ConnectionClosed):
            async for text in connection:
                command = json.loads(text)
                self.commands[trick] += 1
                if trick == "silent":
                    continue
                if trick == "deaf":
                    connection.transport.pause_reading()
                if command["do"] != "connect":
                    ok: Any = PAGE
                elif trick.startswith("welcome:"):
                    ok = json.loads(trick.partition(":")[2])
                else:
                    ok = {**WELCOME, "ping": PINGS.get(trick, 25), "max_message": 2**40}
                await connection.send(json.dumps({"id": command["id"], "ok": ok}))


PINGS = {"ping-tiny": 0.0001, "ping-zero": 0, "ping-negative": -5, "ping-huge": 1e300}


async def nothing(connection: ServerConnection, number: int) -> None:
    pass


def restart(after: str) -> Trick:
    async def trick(connection: ServerConnection, number: int) -> None:
        await asyncio.sleep(0.001)
        await connection.send(f'{{"type":"restart","after":{after}}}')
        await connection.close(1001)

    return trick


def close(code: int) -> Trick:
    async def trick(connection: ServerConnection, number: int) -> None:
        await connection.close(code)

    return trick


async def garbage(connection: ServerConnection, number: int) -> None:
    """Send every wrong frame, replies that nobody asked for, twice or with wrong ids; then one event that is right."""
    dice = random.Random(7)
    await asyncio.sleep(0.2)  # until the client has connected
    for frame in FRAMES:
        await connection.send(frame)
    for number_ in (1, 2, 2, 3, 0, -1, 10**15, 1.5):
        await connection.send(json.dumps({"id": number_, "ok": dice.choice([None, [], {}, "x"])}))
    await connection.send(b'{"type":"later"}')
    await connection.send(LAST)


async def unreadable(connection: ServerConnection, number: int) -> None:
    for _ in range(20_000):
        await connection.send("{")


async def huge(connection: ServerConnection, number: int) -> None:
    await connection.send('"' + "x" * HUGE + '"')


async def swollen(connection: ServerConnection, number: int) -> None:
    """Send what takes little on the wire and much in memory."""
    await connection.send('{"type":"later","x":[' + "[]," * 3_000_000 + "1]}")
    await connection.send(LAST)


async def flood(connection: ServerConnection, number: int) -> None:
    await asyncio.sleep(0.2)
    for seq in range(150):
        event = {"message": "x" * 1_000_000, "sender": "a", "sender_cid": None, "sender_rid": "g", "seq": seq}
        await connection.send(json.dumps({"type": "message", **event}))
    await connection.send(LAST)


TRICKS: dict[str, Trick] = {
    "restart": restart("0"),
    "restart-negative": restart("-1e300"),
    "restart-tiny": restart("1e-300"),
    "restart-text": restart('"0"'),
    "restart-null": restart("null"),
    "restart-ticket": restart('0,"ticket":""'),
    "close-expired": close(4002),
    "close-restarting": close(1012),
    "close-unknown": close(4321),
    "garbage": garbage,
    "unreadable": unreadable,
    "huge": huge,
    "swollen": swollen,
    "flood": flood,
}
LOOPS = [name for name in TRICKS if name.startswith(("restart", "close"))] + ["refuse", "cut", "silent", "unreadable"]
"""What a client must meet with backoff."""


@asynccontextmanager
async def hostile_server() -> AsyncIterator[Hostile]:
    """Run the server on a free port."""
    hostile = Hostile()
    async with serve(
        hostile,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol("hubbub.v1")],
        process_request=hostile.refuse,
        ping_interval=None,
        close_timeout=1,
        open_timeout=2,
        compression=None,
        logger=_silent(),
    ) as server:
        hostile.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield hostile
        for connection in hostile.open:  # clients that have left need no close frame
            connection.transport.abort()


def _silent() -> logging.Logger:
    logger = logging.getLogger("hostile")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
