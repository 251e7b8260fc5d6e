"""What a client does that was told to come back: when it comes, and with what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection

from client.conftest import WELCOME, Scripted, hear
from hubbub.client import Client, Connected, Reconnecting
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, token

Make = Callable[..., Client]
Play = Callable[..., Awaitable[Scripted]]
RESTART = b'{"type":"restart","after":0.125,"ticket":"good","message":"The server restarts: come back."}'


class Tokens:
    """Whoever issues tokens: counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return token("ada")


async def test_a_ticket_spares_the_way_to_whoever_issues_tokens(clients: Make) -> None:
    tokens = Tokens()
    async with Server(Settings(port=0, secret=SECRET)) as server:
        ada = await clients(server, token=tokens)
        await ada.join_realtime("g")
    lost = await hear(ada, Reconnecting)
    assert (lost.code, lost.delay) == (1001, 1.05)
    port = int(server.url.rpartition(":")[2])
    async with Server(Settings(port=port, secret=SECRET)) as again:
        await hear(ada, Connected)
        assert (ada.user_id, ada.group, tokens.asked) == ("ada", "g", 1)
        assert len(again.node.sessions) == 1
        await ada.close_realtime()


def play(taken: bool) -> Callable[[dict[str, Any], ServerConnection, int], Any]:
    """Say that it restarts to who has joined; take its ticket then, or not."""

    def script(command: dict[str, Any], connection: ServerConnection, number: int) -> Any:
        if command["do"] == "join":
            asyncio.get_running_loop().create_task(restart(connection))
            return None
        if "ticket" in command and not taken:
            return {"error": {"code": "UNAUTHORIZED", "message": "not any more"}}
        return {"ok": {**WELCOME, "expires": None}}

    async def restart(connection: ServerConnection) -> None:
        await connection.send(RESTART.decode())
        await connection.close(1001)

    return script


async def test_the_server_says_when(scripted: Play, clients: Make) -> None:
    far = await scripted(play(taken=True))
    ada = await clients(far, token=Tokens())
    joining = asyncio.create_task(ada.join_realtime("g"))
    assert (await hear(ada, Reconnecting)).delay == 0.125
    await hear(ada, Connected)
    assert [list(command) for command in far.commands[:3]] == [
        ["id", "do", "token"],
        ["id", "do", "group"],
        ["id", "do", "ticket"],
    ]
    joining.cancel()


async def test_a_ticket_that_is_not_taken_is_followed_by_a_token(scripted: Play, clients: Make) -> None:
    far, tokens = await scripted(play(taken=False)), Tokens()
    ada = await clients(far, token=tokens)
    joining = asyncio.create_task(ada.join_realtime("g"))
    await hear(ada, Reconnecting)
    await hear(ada, Connected)
    kinds = [next(iter(command.keys() - {"id", "do"})) for command in far.commands[:4]]
    assert (kinds, tokens.asked, far.connections) == (["token", "group", "ticket", "token"], 2, 2)
    joining.cancel()
