"""Clients that are closed at the end of the test, and servers that follow a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

import hubbub
from hubbub.client import Client, Event
from hubbub.client.connection import SUBPROTOCOL
from support.waiting import PATIENCE

Kind = TypeVar("Kind", bound=Event)
WELCOME = {"user_id": "alice", "connection_id": "c", "node": "n", "ping": 25, "max_message": 65536, "expires": None}
Script = Callable[[dict[str, Any], ServerConnection, int], Any]


class Scripted:
    """A WebSocket server that is not a Hubbub: it sends what `script` returns for a command, or nothing for None.

    `script` is called with the command, the connection, and its number, counted from 1.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.commands: list[dict[str, Any]] = []
        self.closes: list[int | None] = []
        self.connections = 0
        self.url = ""

    async def __call__(self, connection: ServerConnection) -> None:
        self.connections += 1
        number = self.connections
        try:
            async for text in connection:
                command = json.loads(text)
                self.commands.append(command)
                answer = self.script(command, connection, number)
                if answer is not None:
                    await connection.send(json.dumps({"id": command["id"], **answer}))
        except ConnectionClosed:
            pass
        self.closes.append(connection.close_code)


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[[Script], Awaitable[Scripted]]]:
    """Start such servers: ``await scripted(lambda command, connection, number: {"ok": …})``."""
    async with AsyncExitStack() as stack:

        async def start(script: Script) -> Scripted:
            scripted_server = Scripted(script)
            server = await stack.enter_async_context(serve(scripted_server, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]))
            scripted_server.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            return scripted_server

        yield start


@pytest.fixture
async def clients() -> AsyncIterator[Callable[..., Client]]:
    """Make clients: ``clients(server, guest="alice")``; closed at the end of the test."""
    async with AsyncExitStack() as stack:

        def make(server: Any, **options: Any) -> Client:
            client = hubbub.connect(server.url, **options)
            stack.push_async_callback(client.close_realtime)
            return client

        yield make


async def next_event(client: Client, kind: type[Kind]) -> Kind:
    """Return the next event of `kind`, and drop those before it."""
    async with asyncio.timeout(PATIENCE):
        async for event in client:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__} before the end")
