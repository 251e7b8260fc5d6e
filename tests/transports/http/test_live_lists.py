"""Live lists as server-sent events: what is sent, to whom, and how an answer ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from hubbub.server import Server
from hubbub.transports.websocket import backlog
from support.clients import Peer, Raw, bearer, server_bearer, token
from support.waiting import PATIENCE

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]
Start = Callable[..., Awaitable[Server]]

EVENTS = {"Accept": "text/event-stream"}


async def events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of an answer."""
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])


async def until_gone(server: Server) -> None:
    """Wait until the node has forgotten all streams."""
    async with asyncio.timeout(PATIENCE):
        while len(server.node.streams) or server.node.views.watches:
            await asyncio.sleep(0.01)


def row(group: str) -> dict[str, Any]:
    return {"group": group, "number_of_users": 1, "number_of_connections": 1}


async def test_groups_and_what_changes(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    member = await peers(server, guest="ada")
    async with http.stream("GET", "/v1/groups?value=a&condition=gte&every=100", headers=EVENTS) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        found = events(answer)
        whole = {"type": "groups", "list": [], "count": 0, "startKey": "end", "endOfList": True}
        assert await anext(found) == whole
        await member.do("join", group="a1")
        assert await anext(found) == {"type": "groups", "set": [row("a1")], "gone": [], "count": 1}
        assert len(server.node.streams) == 1
    await until_gone(server)


async def test_users_and_named_groups(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    member = await peers(server, guest="ada", group="a/b")
    async with http.stream("GET", "/v1/groups/a%2Fb/users", headers=EVENTS) as answer:
        found = await anext(events(answer))
        rows = [{"user_id": "ada", "connection_id": member.welcome["connection_id"]}]
        assert (found["type"], found["list"], found["count"]) == ("users", rows, 1)
    async with http.stream("GET", "/v1/groups", params={"groups": '["x","a/b"]'}, headers=EVENTS) as answer:
        assert [each["group"] for each in (await anext(events(answer)))["list"]] == ["a/b", "x"]


async def test_without_the_header_it_is_a_page(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/groups")).json() == {"list": [], "startKey": "end", "endOfList": True}
    assert (await http.get("/v1/groups?every=100")).status_code == 400


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/v1/groups?every=1", 400, '"every" must be 100 to'),
        ("/v1/groups?every=x", 400, '"every"'),
        ("/v1/groups?groups=a", 400, '"groups" must be names of groups as JSON'),
        ("/v1/groups?often=1", 400, '"often" is not a parameter'),
        ("/v1/groups/g/users?limit=0", 400, '"limit"'),
    ],
)
async def test_refusals(http: httpx.AsyncClient, path: str, status: int, text: str) -> None:
    answer = await http.get(path, headers=EVENTS)
    assert answer.status_code == status
    assert text in answer.json()["error"]["message"]


async def test_a_token_decides_what_is_seen(secured: Server, browse: Browse, peers: Peers) -> None:
    for group in ("a", "b"):
        await peers(secured, token=token("ada"), group=group)
    reader = browse(secured, headers=bearer("bob", groups=["b"]))
    async with reader.stream("GET", "/v1/groups", headers=EVENTS) as answer:
        found = await anext(events(answer))
        assert (found["list"], found["count"]) == ([row("b")], None)
    assert (await reader.get("/v1/groups/a/users", headers=EVENTS)).status_code == 403
    assert (await browse(secured).get("/v1/groups", headers=EVENTS)).status_code == 401


async def test_it_ends_with_the_token(secured: Server, browse: Browse) -> None:
    reader = browse(secured, headers=bearer("bob", ttl=2))
    async with asyncio.timeout(PATIENCE), reader.stream("GET", "/v1/groups", headers=EVENTS) as answer:
        assert len([event async for event in events(answer)]) == 1
    await until_gone(secured)


async def test_it_ends_when_its_user_is_disconnected(secured: Server, browse: Browse) -> None:
    reader, backend = browse(secured, headers=bearer("bob")), browse(secured, headers=server_bearer())
    async with asyncio.timeout(PATIENCE), reader.stream("GET", "/v1/groups", headers=EVENTS) as answer:
        found = events(answer)
        await anext(found)
        await backend.delete("/v1/users/bob")
        assert [event async for event in found] == []
    await until_gone(secured)


async def test_it_ends_when_the_server_stops(browse: Browse, start: Start) -> None:
    server = await start(drain_spread=0)
    reader = browse(server)
    async with asyncio.timeout(PATIENCE), reader.stream("GET", "/v1/groups", headers=EVENTS) as answer:
        found = events(answer)
        await anext(found)
        server.node.begin_drain()
        assert [event async for event in found] == []


async def test_streams_count_as_connections(browse: Browse, start: Start, peers: Peers) -> None:
    server = await start(max_connections=3, max_connections_per_user=2)
    reader = browse(server)
    async with (
        reader.stream("GET", "/v1/groups", headers=EVENTS),
        reader.stream("GET", "/v1/groups", headers=EVENTS),
    ):
        refused = await reader.get("/v1/groups", headers=EVENTS)
        assert refused.status_code == 429
        assert "at most 2 connections" in refused.json()["error"]["message"]
        await peers(server, guest="ada")
        assert (await reader.get("/v1/groups", headers=EVENTS)).status_code == 503
    await until_gone(server)


async def test_an_idle_answer_has_comments(browse: Browse, start: Start) -> None:
    server = await start(ping_interval=0.1)
    async with asyncio.timeout(PATIENCE), browse(server).stream("GET", "/v1/groups", headers=EVENTS) as answer:
        lines = answer.aiter_lines()
        while await anext(lines) != ":":
            pass


async def test_a_client_that_does_not_read_is_cut(
    start: Start, raw: Callable[..., Awaitable[Raw]], peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "STALLED_AFTER", 0.5)
    server = await start(rate_limit=0, view_interval=0.01)
    stalled = await raw(server)
    request = "GET /v1/groups?limit=1000&every=10 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
    await stalled.send(request.encode())
    members = [await peers(server, guest=f"m{number}") for number in range(20)]
    async with asyncio.timeout(60):
        turn = 0
        while turn < 10 or len(server.node.streams):
            turn += 1
            for number, member in enumerate(members):
                await member.do("join", group=f"{'x' * 240}{turn}-{number}")
    await until_gone(server)
