"""Restart notices: when the client reconnects, and that it uses the ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection

from client.conftest import WELCOME, Scripted, next_event
from hubbub.client import Client, Connected, Reconnecting
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, token
from support.store import free_port

Make = Callable[..., Client]
Play = Callable[..., Awaitable[Scripted]]
RESTART = b'{"type":"restart","after":0.125,"ticket":"good","message":"The server restarts: come back."}'


class Tokens:
    """A token function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return token("ada")


async def test_a_ticket_makes_a_new_token_unnecessary(clients: Make) -> None:
    tokens = Tokens()
    async with Server(Settings(port=free_port(), secret=SECRET)) as server:
        ada = await clients(server, token=tokens)
        await ada.join_realtime("g")
    lost = await next_event(ada, Reconnecting)
    assert (lost.code, lost.delay) == (1001, 1.05)
    port = int(server.url.rpartition(":")[2])
    async with Server(Settings(port=port, secret=SECRET)) as again:
        await next_event(ada, Connected)
        assert (ada.user_id, ada.group, tokens.calls) == ("ada", "g", 1)
        assert len(again.node.sessions) == 1
        await ada.close_realtime()


def restarting(accepted: bool) -> Callable[[dict[str, Any], ServerConnection, int], Any]:
    """Send a restart notice after a join; then accept the ticket, or not."""

    def script(command: dict[str, Any], connection: ServerConnection, number: int) -> Any:
        if command["do"] == "join":
            asyncio.get_running_loop().create_task(restart(connection))
            return None
        if "ticket" in command and not accepted:
            return {"error": {"code": "UNAUTHORIZED", "message": "not any more"}}
        return {"ok": {**WELCOME, "expires": None}}

    async def restart(connection: ServerConnection) -> None:
        await connection.send(RESTART.decode())
        await connection.close(1001)

    return script


async def test_the_server_sets_the_delay(scripted: Play, clients: Make) -> None:
    peer = await scripted(restarting(accepted=True))
    ada = await clients(peer, token=Tokens())
    joining = asyncio.create_task(ada.join_realtime("g"))
    assert (await next_event(ada, Reconnecting)).delay == 0.125
    await next_event(ada, Connected)
    assert [list(command) for command in peer.commands[:3]] == [
        ["id", "do", "token"],
        ["id", "do", "group"],
        ["id", "do", "ticket"],
    ]
    joining.cancel()


async def test_after_a_refused_ticket_the_client_sends_a_token(scripted: Play, clients: Make) -> None:
    peer, tokens = await scripted(restarting(accepted=False)), Tokens()
    ada = await clients(peer, token=tokens)
    joining = asyncio.create_task(ada.join_realtime("g"))
    await next_event(ada, Reconnecting)
    await next_event(ada, Connected)
    kinds = [next(iter(command.keys() - {"id", "do"})) for command in peer.commands[:4]]
    assert (kinds, tokens.calls, peer.connections) == (["token", "group", "ticket", "token"], 2, 2)
    joining.cancel()
