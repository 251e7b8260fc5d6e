"""Live queries of the Python client, against a real server: changes, reconnects, rights, refusals, slow programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from client.conftest import WELCOME, Scripted, next_event
from hubbub.client import Change, Client, Connected, LiveQuery, Problem
from hubbub.client.live import WatchReply
from hubbub.errors import CommandError
from hubbub.messages import GroupRow, UserRow
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import Peer, token
from support.waiting import PATIENCE

Make = Callable[..., Client]
Play = Callable[..., Awaitable[Scripted]]
Peers = Callable[..., Awaitable[Peer]]


async def until(changes: AsyncIterator[Change[Any]], condition: Callable[[Change[Any]], object]) -> Change[Any]:
    """Return the first change that fulfils the condition."""
    async with asyncio.timeout(PATIENCE):
        async for change in changes:
            if condition(change):
                return change
    raise AssertionError("the live query has ended")


async def test_a_lobby_is_live(server: Server, clients: Make, peers: Peers) -> None:
    client = await clients(server, guest="alice")
    member = await peers(server, guest="bob")
    async with client.watch_realtime_groups(value="lobby-", condition=">=", limit=1, every=0.1) as lobby:
        changes = lobby.__aiter__()
        assert await anext(changes) == Change([], 0, [], [])
        await member.ask("join", group="lobby-2")
        row = GroupRow("lobby-2", 1, 1)
        assert await until(changes, lambda change: change.count) == Change([row], 1, [row], [])
        assert (lobby.list, lobby.count) == ([row], 1)
        await member.ask("join", group="lobby-1")
        changed = await until(changes, lambda change: change.list[0].group == "lobby-1")
        assert changed.gone == ["lobby-2"]
    assert server.node.views.watches == 0
    assert [change async for change in changes] == []


async def test_users_and_named_groups(server: Server, clients: Make, peers: Peers) -> None:
    client = await clients(server, guest="alice")
    await client.join_realtime("team")
    async with (
        client.watch_realtime_groups(groups=["team", "never"]) as named,
        client.watch_realtime_users(every=0.1) as users,
    ):
        assert named.list == [GroupRow("never", 0, 0), GroupRow("team", 1, 1)]
        assert [row.user_id for row in users.list] == ["alice"]
        bob = await peers(server, guest="bob", group="team")
        changed = await until(users.__aiter__(), lambda change: change.count == 2)
        assert changed.list[1] == UserRow("bob", bob.welcome["connection_id"])


async def test_what_a_slow_program_has_missed_is_one_change(server: Server, clients: Make, peers: Peers) -> None:
    client = await clients(server, guest="alice")
    member = await peers(server, guest="bob")
    async with client.watch_realtime_groups(every=0.1) as lobby:
        changes = lobby.__aiter__()
        await anext(changes)
        for group in ("a", "b", "c"):
            await member.ask("join", group=group)
            async with asyncio.timeout(PATIENCE):
                while [row.group for row in lobby.list] != [group]:
                    await asyncio.sleep(0.01)
        assert await anext(changes) == Change([GroupRow("c", 1, 1)], 1, [GroupRow("c", 1, 1)], [])


async def test_after_a_restart_it_goes_on_and_yields_the_difference(clients: Make) -> None:
    async with Server(Settings(port=0, drain_spread=0)) as server:
        alice, bob = await clients(server, guest="alice"), await clients(server, guest="bob")
        await bob.join_realtime("g")
        lobby = await alice.watch_realtime_groups(every=0.1).__aenter__()
        changes = lobby.__aiter__()
        await anext(changes)
    port = int(server.url.rpartition(":")[2])
    async with Server(Settings(port=port)):
        await next_event(alice, Connected)
        await bob.join_realtime("h")
        changed = await until(changes, lambda change: [row.group for row in change.list] == ["h"])
        assert changed.set == [GroupRow("h", 1, 1)]
        assert lobby.error is None
        await alice.close_realtime()
        await bob.close_realtime()


async def test_new_rights_end_what_they_do_not_allow(secured: Server, clients: Make) -> None:
    rights: list[str] | None = None
    client = await clients(secured, token=lambda: token("alice", groups=rights))
    async with client.watch_realtime_users("secret") as users:
        rights = ["a*"]
        await client.renew()
        with pytest.raises(CommandError, match="secret") as ended:
            await until(users.__aiter__(), lambda change: False)
        assert ended.value.code == "FORBIDDEN"
        assert users.error is ended.value
    assert (await next_event(client, Problem)).code == "FORBIDDEN"


async def test_refusals(server: Server, clients: Make) -> None:
    client = await clients(server, guest="alice")
    refused: list[tuple[LiveQuery[Any], str]] = [
        (client.watch_realtime_groups(every=0.001), '"every" must be 100 to'),
        (client.watch_realtime_users(), '"group" is missing'),
        (client.watch_realtime_groups(limit=0), '"limit"'),
    ]
    for query, text in refused:
        with pytest.raises(CommandError, match=text):
            await query.__aenter__()
    once: LiveQuery[GroupRow] = client.watch_realtime_groups()
    async with once:
        pass
    with pytest.raises(CommandError, match="can be used once"):
        await once.__aenter__()
    with pytest.raises(CommandError, match="No realtime connection"):
        await clients(server, guest="x").watch_realtime_groups().__aenter__()
    assert server.node.views.watches == 0


async def test_closing_the_client_ends_the_iteration(server: Server, clients: Make) -> None:
    client = await clients(server, guest="alice")
    async with client.watch_realtime_groups() as lobby:
        await client.close_realtime()
        assert len([change async for change in lobby]) == 1
        assert lobby.error is None


def page(*names: str) -> dict[str, Any]:
    rows = [{"group": name, "number_of_users": 1, "number_of_connections": 1} for name in names]
    return {"watch": 4, "list": rows, "count": len(rows), "startKey": "end", "endOfList": True}


async def test_skips_refusals_for_the_moment_and_events_that_cannot_be_read(clients: Make, scripted: Play) -> None:
    asked = 0
    sockets: list[ServerConnection] = []

    def script(command: dict[str, Any], connection: ServerConnection, number: int) -> Any:
        nonlocal asked
        if command["do"] == "connect":
            sockets.append(connection)
            return {"ok": WELCOME}
        asked += command["do"] == "watch"
        return {"ok": page("a", "b") if asked == 1 else page("b", "c")}

    peer = await scripted(script)
    client = await clients(peer, guest="alice")
    async with client.watch_realtime_groups(ascending=False) as lobby:
        changes = lobby.__aiter__()
        await anext(changes)

        async def send(**event: Any) -> None:
            await sockets[0].send(json.dumps(event))

        await send(type="groups", watch=4, list=[*page("b")["list"]], count=9)
        whole = await anext(changes)
        assert ([row.group for row in whole.list], whole.set, whole.gone, whole.count) == (["b"], [], ["a"], 9)
        await send(type="groups", watch=5, set=[], gone=["b"], count=0)  # not ours
        await send(type="groups", watch=4, set=[{"group": 1}], gone=[], count=0)
        assert (await next_event(client, Problem)).code == "UNREADABLE"
        await send(type="unwatched", watch=4, code="UNAVAILABLE", message="too many")
        again = await until(changes, lambda change: len(change.list) == 2)
        assert ([row.group for row in again.list], again.set[0].group) == (["c", "b"], "c")
        assert asked == 2


async def test_a_server_that_adds_rows_without_end_is_stopped() -> None:
    async def nothing(query: LiveQuery[Any]) -> None:
        """Tell no server."""

    query = LiveQuery({"what": "groups"}, GroupRow, nothing, nothing)
    query.on_reply(WatchReply(1, [GroupRow(f"a{number}", 1, 1) for number in range(6000)], 1))
    with pytest.raises(CommandError, match="more than 10000 rows"):
        query.on_reply(WatchReply(1, [GroupRow(f"a{number}", 1, 1) for number in range(10_001)], 1))
