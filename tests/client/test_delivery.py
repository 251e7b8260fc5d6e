"""No silent loss: the Python client behind a network that fails, judged by the events that its callback received."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from urllib.parse import urlsplit

import pytest

import hubbub
from client.conftest import next_event
from hubbub.client import Client, Event, Gap, Message, Position, Private
from hubbub.server import Server
from hubbub.settings import Settings
from support.delivery_check import Verdict, judge
from support.faulty_proxy import FAULTS, FaultyProxy
from support.waiting import PATIENCE

ROUNDS = 6
"""How often each fault is injected."""


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once: the delays are tested elsewhere."""
    monkeypatch.setattr("hubbub.client.reconnecting.retry_delay", lambda *_: 0.005)


def address(server: Server) -> tuple[str, int]:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@pytest.mark.parametrize("fault", FAULTS)
async def test_network_faults_while_all_clients_post(fault: str) -> None:
    events: dict[str, list[Event]] = {"ada": [], "bob": [], "eve": []}
    async with Server(Settings(port=0, rate_limit=0)) as server, FaultyProxy(*address(server)) as network:
        clients = [
            hubbub.connect(network.url, guest=name, on_event=received.append, timeout=20)
            for name, received in events.items()
        ]
        for client in clients:
            await client
            await client.join_realtime("g")
        stopped = asyncio.Event()
        talking = [asyncio.create_task(talk(client, stopped)) for client in clients]
        for _ in range(ROUNDS):
            posted = sum(len(received) for received in events.values())
            while sum(len(received) for received in events.values()) < posted + 60:  # so that messages are in flight
                await asyncio.sleep(0.001)
            network.strike(fault)
            if fault in ("blackhole", "mid-frame", "unanswered"):
                await asyncio.sleep(0.05)
                network.clear()
        stopped.set()
        posts = [number for task in talking for number in await task]
        for client in clients:
            await client.get_realtime_groups()
            await caught_up(client, len(posts))
        assert network.faults[fault] >= ROUNDS * 2  # otherwise the test would show nothing
        for client in clients:
            await client.close_realtime()
    assert posts
    for received in events.values():
        messages = [event for event in received if isinstance(event, Message)]
        assert judge([(each.seq, each.message) for each in messages], gaps(received), 1, len(posts)) == Verdict(0, 0, 0)
        assert not gaps(received)  # everything was within the window of the history
        assert sorted(each.message for each in messages) == sorted(posts)  # each acknowledged post, exactly once


async def talk(client: Client, stopped: asyncio.Event) -> list[str]:
    posts: list[str] = []
    for number in itertools.count():
        if stopped.is_set():
            return posts
        text = f"{client.user_id} {number}"
        await client.post_realtime(text, {"group": "g"})
        posts.append(text)
    raise AssertionError


async def caught_up(client: Client, last: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while client.position is None or client.position.seq < last:
            await asyncio.sleep(0.001)


def gaps(received: list[Event]) -> list[tuple[int, int]]:
    return [
        ((event.since.seq if event.since else 0) + 1, event.position.seq)
        for event in received
        if isinstance(event, Gap)
    ]


async def test_a_restart_is_reported_as_a_gap(clients: Any) -> None:
    async with Server(Settings(port=0)) as server:
        client = await clients(server, guest="alice")
        await client.join_realtime("g")
        await client.post_realtime("before", "g")
        await next_event(client, Message)
        old, port = client.position, address(server)[1]
    async with Server(Settings(port=port)):
        gap = await next_event(client, Gap)
        inbox, gap = (gap, await next_event(client, Gap)) if gap.group is None else (None, gap)
        assert inbox is not None
        assert (gap.group, gap.since, gap.position.seq, gap.missed) == ("g", old, 0, None)
        assert gap.position.epoch != old.epoch
        await client.post_realtime("after", "g")
        assert (await next_event(client, Message)).message == "after"
        await client.close_realtime()


async def test_history_and_since(server: Server, clients: Any) -> None:
    ada = await clients(server, guest="ada")
    start = (await ada.join_realtime("g")).position
    for number in range(4):
        await ada.post_realtime(number, "g")
    bob = await clients(server, guest="bob")
    assert (await bob.join_realtime("g", history=2)).replayed == 2
    assert [(await next_event(bob, Message)).message for _ in range(2)] == [2, 3]
    await bob.join_realtime(None)
    assert (await bob.join_realtime("g", since=Position(start.epoch, 1))).replayed == 3
    assert [(await next_event(bob, Message)).message for _ in range(3)] == [1, 2, 3]
    await bob.join_realtime("g", since=Position("an old epoch", 7))
    assert (await next_event(bob, Gap)).since == Position("an old epoch", 7)
    assert bob.position == Position(start.epoch, 4)


async def test_a_private_message_arrives_after_a_reconnect(server: Server, clients: Any) -> None:
    async with FaultyProxy(*address(server)) as network:
        bob = await clients(network, guest="bob")
        ada = await clients(server, guest="ada")
        await ada.post_realtime("first", {"user_id": "bob"})
        assert (await next_event(bob, Private)).message == "first"
        network.strike("rst")
        await ada.post_realtime("second", {"user_id": "bob"})
        assert (await next_event(bob, Private)).message == "second"
        await ada.post_realtime("third", {"user_id": "bob"})
        assert (await next_event(bob, Private)).message == "third"
        assert network.faults["rst"] == 1
        await bob.close_realtime()


async def test_a_later_run_continues_with_its_private_messages(server: Server, clients: Any) -> None:
    ada, bob = await clients(server, guest="ada"), await clients(server, guest="bob")
    await ada.post_realtime("first", {"user_id": "bob"})
    await next_event(bob, Private)
    inbox = bob.inbox
    assert inbox.seq == 1
    await bob.close_realtime()
    assert bob.inbox is None
    for text in ("second", "third"):
        await ada.post_realtime(text, {"user_id": "bob"})

    later = await clients(server, guest="bob", inbox=inbox)
    assert [(await next_event(later, Private)).message for _ in range(2)] == ["second", "third"]
    assert later.inbox == Position(inbox.epoch, 3)

    elsewhere = await clients(server, guest="bob", inbox=Position("of another server", 1))
    gap = await next_event(elsewhere, Gap)
    assert (gap.group, gap.since, gap.missed) == (None, Position("of another server", 1), None)


@pytest.mark.parametrize("inbox", [7, {"epoch": "e", "seq": 1}, ("e", 1)])
def test_an_inbox_that_is_not_a_position_is_refused(inbox: Any) -> None:
    with pytest.raises(hubbub.CommandError, match='"inbox" must be a hubbub' + "[.]Position"):
        hubbub.connect("http://127.0.0.1:1", inbox=inbox)


async def test_min_recipients_and_keys(server: Server, clients: Any) -> None:
    ada = await clients(server, guest="ada")
    await ada.join_realtime("g")
    with pytest.raises(hubbub.CommandError, match="min_recipients"):
        await ada.post_realtime("to nobody", "g", min_recipients=2)
    first = await ada.post_realtime("x", "g", key="mine", min_recipients=1)
    assert await ada.post_realtime("x", "g", key="mine") == first
    assert (await next_event(ada, Message)).seq == 1
    await ada.get_realtime_groups()
    assert ada.position is not None
    assert ada.position.seq == 1
