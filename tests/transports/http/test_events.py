"""The feed over HTTP: its forms, who may read it, how it goes on, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hubbub.server import Server
from support.clients import SECRET, Peer, bearer, server_bearer, token

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]
Start = Callable[..., Awaitable[Server]]
Event = dict[str, Any]

PATIENCE = 20.0


class Feed:
    """An open answer, whose lines are read one by one."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def line(self) -> str:
        return await asyncio.wait_for(anext(self._lines), PATIENCE)

    async def event(self) -> Event:
        """Return the next event of an answer in lines of JSON."""
        found: Event = json.loads(await self.line())
        return found

    async def until(self, type_: str) -> list[Event]:
        """Return the events up to the first one of this type."""
        found = [await self.event()]
        while found[-1]["type"] != type_:
            found.append(await self.event())
        return found


@asynccontextmanager
async def reading(client: httpx.AsyncClient, query: str = "", **headers: str) -> AsyncIterator[Feed]:
    async with client.stream("GET", f"/v1/events{query}", headers=headers) as answer:
        assert answer.status_code == 200
        yield Feed(answer)


async def test_a_join_is_an_event(secured: Server, browse: Browse, peers: Peers) -> None:
    program = browse(secured, headers=server_bearer())
    async with reading(program) as feed:
        assert (await feed.event())["type"] == "position"
        ada = await peers(secured, token=token("ada"), group="a")
        found = await feed.until("member_joined")
        assert [each["type"] for each in found] == ["user_online", "group_opened", "member_joined"]
        joined = found[-1]
        assert joined.pop("at") > 1_700_000_000
        assert joined == {
            "type": "member_joined",
            "group": "a",
            "user_id": "ada",
            "connection_id": ada.welcome["connection_id"],
            "seq": 3,
            "epoch": found[0]["epoch"],
            "why": "joined",
            "number_of_users": 1,
            "cursor": joined["cursor"],
        }
