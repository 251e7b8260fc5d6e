"""The feed over HTTP: its forms, who may read it, how it goes on, and how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hubbub.messages import UserRow
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, Peer, bearer, server_bearer, token
from support.raw import RawWebSocket

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


async def test_server_sent_events_have_the_cursor_as_their_id(secured: Server, browse: Browse, peers: Peers) -> None:
    program = browse(secured, headers=server_bearer())
    async with reading(program, "?what=groups", Accept="text/event-stream") as feed:
        assert feed.answer.headers["content-type"] == "text/event-stream"
        assert feed.answer.headers["cache-control"] == "no-store"
        lines = [await feed.line() for _ in range(3)]
        assert lines[0].startswith("id: ")
        assert lines[2] == ""
        await peers(secured, token=token("ada"), group="two\nlines")
        lines = [await feed.line() for _ in range(3)]
        event = json.loads(lines[1].removeprefix("data: "))
        assert (event["type"], event["group"]) == ("group_opened", "two\nlines")
        assert lines[0] == f"id: {event['cursor']}"


async def test_a_cursor_goes_on_where_it_was_made(secured: Server, browse: Browse, peers: Peers) -> None:
    program = browse(secured, headers=server_bearer())
    async with reading(program) as feed:
        ada = await peers(secured, token=token("ada"), group="a")
        found = await feed.until("member_joined")
    await ada.socket.close()
    await peers(secured, token=token("bob"), group="b")
    async with reading(program, f"?since={found[1]['cursor']}") as feed:
        again = await feed.until("member_joined")
        assert [event["type"] for event in again] == ["position", *(event["type"] for event in found[2:])]
        cursor = found[3]["cursor"]
    async with reading(program, "?since=start", **{"Last-Event-ID": cursor}) as feed:
        rest: list[Event] = []
        while not rest or rest[-1].get("user_id") != "bob" or rest[-1]["type"] != "member_joined":
            rest.append(await feed.event())
        assert [(each["type"], each.get("user_id", each.get("group"))) for each in rest[1:]] == [
            *(("member_left", "ada"), ("group_emptied", "a"), ("user_offline", "ada")),
            *(("user_online", "bob"), ("group_opened", "b"), ("member_joined", "bob")),
        ]


async def test_a_snapshot_first(secured: Server, browse: Browse, peers: Peers) -> None:
    await peers(secured, token=token("ada"), group="a")
    await peers(secured, token=token("bob"))
    async with reading(browse(secured, headers=server_bearer()), "?since=start") as feed:
        found = await feed.until("snapshot_end")
    assert [
        *({"type": "snapshot_begin"}, {"type": "user_online", "user_id": "ada", "snapshot": True}),
        {"type": "user_online", "user_id": "bob", "snapshot": True},
        {"type": "group_opened", "group": "a", "number_of_users": 1, "snapshot": True},
        {"type": "member_joined", "group": "a", "user_id": "ada", "number_of_users": 1, "snapshot": True},
        {"type": "snapshot_end", "cursor": found[-1]["cursor"]},
    ] == found


async def test_a_cursor_of_another_epoch_is_a_gap(secured: Server, start: Start, browse: Browse, peers: Peers) -> None:
    program = browse(secured, headers=server_bearer())
    async with reading(program) as feed:
        cursor = (await feed.event())["cursor"]
    restarted = await start(secret=SECRET)
    await peers(restarted, token=token("ada"))
    async with reading(browse(restarted, headers=server_bearer()), f"?since={cursor}") as feed:
        found = await feed.until("snapshot_end")
    assert [event["type"] for event in found] == ["gap", "snapshot_begin", "user_online", "snapshot_end"]
    assert ["cursor" in event for event in found] == [False, False, False, True]


async def test_which_events_a_reader_gets(secured: Server, browse: Browse, peers: Peers) -> None:
    whole, narrow = browse(secured, headers=server_bearer()), browse(secured, headers=server_bearer(groups=["b*", "c"]))
    async with (
        reading(whole, "?group=b*") as some,
        reading(whole, "?what=users") as users,
        reading(narrow, "?what=groups") as rights,
    ):
        for name, group in (("ada", "a1"), ("bob", "b1"), ("eve", "c")):
            await peers(secured, token=token(name), group=group)
        assert [(event["type"], event.get("group")) for event in (await some.until("member_joined"))[1:]] == [
            ("group_opened", "b1"),
            ("member_joined", "b1"),
        ]
        found = [await users.event() for _ in range(7)][1:]
        assert [event["type"] for event in found] == ["user_online", "member_joined"] * 3
        found = [await rights.event() for _ in range(3)][1:]
        assert [(event["type"], event["group"]) for event in found] == [("group_opened", "b1"), ("group_opened", "c")]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?since=", '"since" must be the "cursor" of an event'),
        ("?since=x", '"since" must be the "cursor" of an event'),
        ("?since=abc.1~00000000", '"since" must be the "cursor" of an event'),
        ("?since=%F0%9F%98%80", '"since" must be the "cursor" of an event'),
        ("?since=" + "a" * 5000, '"since" must be the "cursor" of an event'),
        ("?what=user", '"what" must be "users", "groups" or "users,groups".'),
        ("?what=", '"what" must be'),
        ("?group=", '"group" must be 1 to 256 characters'),
        ("?group=" + "a" * 257, '"group" must be 1 to 256 characters'),
        ("?groups=a", '"groups" is not a parameter. Known parameters: since, what, group.'),
    ],
)
async def test_bad_queries(secured: Server, browse: Browse, query: str, text: str) -> None:
    answer = await browse(secured, headers=server_bearer()).get(f"/v1/events{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "INVALID_PARAMETER"
    assert text in answer.json()["error"]["message"]


async def test_every_part_of_a_cursor_is_refused(secured: Server, browse: Browse) -> None:
    program = browse(secured, headers=server_bearer())
    async with reading(program) as feed:
        cursor = (await feed.event())["cursor"]
    for size in range(len(cursor)):
        assert (await program.get("/v1/events", params={"since": cursor[:size]})).status_code == 400


async def test_who_may_read(secured: Server, browse: Browse) -> None:
    assert (await browse(secured, headers=bearer("ada")).get("/v1/events")).status_code == 403
    assert (await browse(secured).get("/v1/events")).status_code == 401
    other = await browse(secured, headers={**server_bearer(), "Accept": "text/html"}).get("/v1/events")
    assert (other.status_code, other.json()["error"]["code"]) == (406, "INVALID_REQUEST")
    head = await browse(secured, headers=server_bearer()).head("/v1/events")
    assert (head.status_code, head.headers["content-type"], head.content) == (200, "application/x-ndjson", b"")


async def test_a_reader_counts_as_a_connection_until_it_goes(start: Start, browse: Browse, peers: Peers) -> None:
    server = await start(secret=SECRET, max_feed_readers=2, max_connections=30)
    program = browse(server, headers=server_bearer())
    async with reading(program) as one, reading(program) as two:
        await one.event()
        await two.event()
        refused = await program.get("/v1/events")
        assert refused.status_code == 503
        assert "max_feed_readers" in refused.json()["error"]["message"]
        assert server.node.feed_readers == 2
    await emptied(server)
    async with reading(program) as one:
        await one.event()


async def test_a_full_server_takes_no_reader(start: Start, browse: Browse, peers: Peers) -> None:
    server = await start(secret=SECRET, max_connections=3)
    for name in ("ada", "bob"):
        await peers(server, token=token(name))
    program = browse(server, headers=server_bearer())
    async with reading(program) as feed:
        await feed.event()
        assert server.node.full
        assert (await program.get("/v1/events")).status_code == 503


async def test_a_feed_ends_with_its_token(secured: Server, browse: Browse) -> None:
    async with reading(browse(secured, headers=server_bearer(exp=int(time.time()) + 2))) as feed:
        await feed.event()
        with pytest.raises(StopAsyncIteration):
            await feed.line()
    await emptied(secured)


async def test_a_feed_ends_when_its_user_is_disconnected(secured: Server, browse: Browse) -> None:
    backend = browse(secured, headers=server_bearer())
    async with reading(browse(secured, headers=server_bearer())) as feed:
        await feed.event()
        assert (await backend.delete("/v1/users/backend")).status_code == 200
        with pytest.raises(StopAsyncIteration):
            await feed.line()
    await emptied(secured)


async def test_a_feed_ends_when_the_server_stops(browse: Browse) -> None:
    async with (
        Server(Settings(port=0, secret=SECRET)) as server,
        reading(browse(server, headers=server_bearer())) as feed,
    ):
        await feed.event()
        draining = asyncio.create_task(server.node.drain())
        with pytest.raises(StopAsyncIteration):
            await feed.line()
        await draining


async def test_a_reader_that_does_not_read_is_cut(start: Start) -> None:
    """Nothing is kept for a reader: what it does not take is in the feed only, and its connection ends."""
    server = await start(secret=SECRET)
    connection = await RawWebSocket.connect(server, receive_buffer=8192)
    head = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {server_bearer()['Authorization']}\r\n\r\n"
    await connection.send(head.encode())
    async with asyncio.timeout(PATIENCE):
        while not server.node.feed_readers:
            await asyncio.sleep(0.01)
    backend = server.node.backend
    row = UserRow("x" * 200, "1")
    await backend.connect(row, 1)
    for number in range(20_000):
        await backend.join(row, f"{number:0200}")
        if number % 100 == 0:
            await asyncio.sleep(0)
    await emptied(server)
    connection.socket.close()


async def emptied(server: Server) -> None:
    """Wait until no reader is counted."""
    async with asyncio.timeout(PATIENCE):
        while server.node.feed_readers:
            await asyncio.sleep(0.01)
