"""The six methods and the events, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import hubbub
from client.conftest import WELCOME, Scripted, next_event
from hubbub.client import Client, Closed, Connected, Message, Notice, Private, Problem
from hubbub.client.client import MAX_CALLS
from hubbub.client.guest_keys import derive_guest_key
from hubbub.errors import CommandError, ErrorCode
from hubbub.server import Server
from support.clients import Peer, token

Make = Callable[..., Client]


@pytest.fixture
async def alice(server: Server, clients: Make) -> Client:
    return await clients(server, guest="alice")


@pytest.fixture
async def bob(server: Server, clients: Make) -> Client:
    return await clients(server, guest="bob")


async def test_two_clients_exchange_messages(alice: Client, bob: Client) -> None:
    joined = await alice.join_realtime("HelloWorld")
    assert joined.message == 'Joined realtime message group: "HelloWorld".'
    assert joined.position is not None
    assert joined.position.seq == 0
    await bob.join_realtime("HelloWorld")
    notice = await next_event(alice, Notice)
    assert (notice.code, notice.sender, notice.sender_cid) == ("USER_JOINED", "bob", bob.connection_id)
    assert (await bob.post_realtime({"msg": "hi", "n": [1, None]}, "HelloWorld")).recipients == 2
    for client in alice, bob:
        message = await next_event(client, Message)
        assert message == Message({"msg": "hi", "n": [1, None]}, "bob", bob.connection_id, "HelloWorld", 1)
    await bob.join_realtime(None)
    assert (await next_event(alice, Notice)).code == "USER_LEFT"
    assert bob.group is None


async def test_a_private_message(alice: Client, bob: Client) -> None:
    sent = await alice.post_realtime("psst", {"user_id": "bob"})
    assert (sent.message, sent.recipients, sent.type) == ("Message sent.", 1, "success")
    assert await next_event(bob, Private) == Private("psst", "alice", alice.connection_id, seq=1)


async def test_properties(server: Server, clients: Make) -> None:
    client = clients(server, guest="alice")
    assert properties(client) == ("closed", None, None, None)
    await client.connect_realtime()
    await client.join_realtime("g")
    assert (client.state, client.user_id, client.group) == ("connected", "alice", "g")
    assert client.connection_id is not None
    await client.close_realtime()
    assert properties(client) == ("closed", None, None, None)


def properties(client: Client) -> tuple[str | None, ...]:
    return client.state, client.user_id, client.connection_id, client.group


async def test_listing(alice: Client, bob: Client, peers: Callable[..., Awaitable[Peer]], server: Server) -> None:
    await alice.join_realtime("Hello 1")
    await bob.join_realtime("Hello 2")
    await peers(server, guest="bob", guest_key=derive_guest_key(server.url), group="Hello 2")
    await peers(server, guest="carol", group="Other")
    page = await alice.get_realtime_groups("group", "Hello", ">=", limit=1, fetch_more=True)
    assert [(row.group, row.number_of_users) for row in page.list] == [("Hello 1", 1)]
    assert not page.end_of_list
    page = await alice.get_realtime_groups("group", "Hello", ">=", limit=1, fetch_more=True)
    assert [(row.group, row.number_of_users, row.number_of_connections) for row in page.list] == [("Hello 2", 1, 2)]
    again = await alice.get_realtime_groups("group", "Hello", ">=", limit=1)
    assert [row.group for row in again.list] == ["Hello 1"]
    by_key = await alice.get_realtime_groups("group", "Hello", ">=", limit=1, start_key=again.start_key)
    assert [row.group for row in by_key.list] == ["Hello 2"]
    down = await alice.get_realtime_groups(ascending=False)
    assert [row.group for row in down.list] == ["Other", "Hello 2", "Hello 1"]
    both = await alice.get_realtime_users("Hello 2")
    assert [row.user_id for row in both.list] == ["bob", "bob"]
    assert bob.connection_id in [row.connection_id for row in both.list]
    assert [row.user_id for row in (await alice.get_realtime_users()).list] == ["alice"]
    assert (await alice.get_realtime_users("Hello 2", "carol")).list == []


async def test_errors_of_the_server_are_raised(alice: Client) -> None:
    with pytest.raises(CommandError, match="limit") as caught:
        await alice.get_realtime_groups(limit=0)
    assert caught.value.code == ErrorCode.INVALID_PARAMETER
    with pytest.raises(CommandError, match="You are not in the group") as caught:
        await alice.post_realtime("x", {"group": "elsewhere"})
    assert caught.value.code == ErrorCode.INVALID_REQUEST
    with pytest.raises(CommandError, match=r'"message" has \d+ bytes; at most 65536') as caught:
        await alice.post_realtime("x" * 70_000, "g")
    assert caught.value.code == ErrorCode.TOO_LARGE
    assert alice.state == "connected"


async def test_nothing_works_before_connecting(server: Server, clients: Make) -> None:
    client = clients(server, guest="alice")
    for call in (
        client.join_realtime("g"),
        client.post_realtime(1, "g"),
        client.get_realtime_groups(),
        anext(aiter(client)),
    ):
        with pytest.raises(CommandError, match="No realtime connection") as caught:
            await call
        assert caught.value.code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"guest": "a", "token": "b"}, 'takes either "token" or "guest", and not both'),
        ({"guest": "a", "timeout": 0}, '"timeout"'),
        ({"guest": "a", "max_events": 0}, '"max_events"'),
    ],
)
def test_options_that_connect_rejects(options: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError, match=text) as caught:
        hubbub.connect("http://127.0.0.1:1", **options)
    assert caught.value.code == ErrorCode.INVALID_PARAMETER


async def test_a_client_can_be_used_again(server: Server, clients: Make) -> None:
    client = clients(server, guest="alice")
    for _ in range(2):
        async with client:
            await client.join_realtime("g")
            assert client.group == "g"
        assert [event async for event in client] == [Connected(), Closed(1000)]


async def test_closing_fails_waiting_calls(scripted: Callable[..., Awaitable[Scripted]], clients: Make) -> None:
    peer = await scripted(lambda command, *_: {"ok": WELCOME} if command["do"] == "connect" else None)
    client = await clients(peer, guest="alice")
    waiting = asyncio.create_task(client.join_realtime("g"))
    await asyncio.sleep(0)
    await client.close_realtime()
    with pytest.raises(CommandError, match="closed by close_realtime"):
        await waiting
    assert peer.closes == [1000]


async def test_a_reply_that_does_not_arrive(scripted: Callable[..., Awaitable[Scripted]], clients: Make) -> None:
    peer = await scripted(lambda command, *_: {"ok": WELCOME} if command["do"] == "connect" else None)
    client = await clients(peer, guest="alice", timeout=0.05)
    with pytest.raises(CommandError, match=r"No answer to 'groups' within 0\.05 s\.") as caught:
        await client.get_realtime_groups()
    assert caught.value.code == ErrorCode.UNAVAILABLE


async def test_an_invalid_reply(scripted: Callable[..., Awaitable[Scripted]], clients: Make) -> None:
    peer = await scripted(lambda command, *_: {"ok": WELCOME if command["do"] == "connect" else {"list": 7}})
    client = await clients(peer, guest="alice")
    with pytest.raises(CommandError, match="invalid reply") as caught:
        await client.get_realtime_groups()
    assert caught.value.code == ErrorCode.INTERNAL


async def test_waiting_calls_are_limited(scripted: Callable[..., Awaitable[Scripted]], clients: Make) -> None:
    peer = await scripted(lambda command, *_: {"ok": WELCOME} if command["do"] == "connect" else None)
    client = await clients(peer, guest="alice")
    waiting = [asyncio.create_task(client.join_realtime("g")) for _ in range(MAX_CALLS)]
    await asyncio.sleep(0)
    with pytest.raises(CommandError, match="1000 calls wait") as caught:
        await client.join_realtime("g")
    assert caught.value.code == ErrorCode.RATE_LIMITED
    await client.close_realtime()
    await asyncio.wait(waiting)
    assert all(isinstance(task.exception(), CommandError) for task in waiting)


async def test_calls_made_at_once_keep_their_order(alice: Client) -> None:
    await alice.join_realtime("g")
    await asyncio.gather(*(alice.post_realtime(number, "g") for number in range(50)))
    assert [(await next_event(alice, Message)).message for _ in range(50)] == list(range(50))


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_events_by_callback(server: Server, clients: Make, kind: str) -> None:
    received: list[Any] = []
    done = asyncio.Event()

    def take(event: Any) -> None:
        received.append(event)
        if isinstance(event, Message):
            done.set()

    async def take_later(event: Any) -> None:
        await asyncio.sleep(0)
        take(event)

    client = await clients(server, guest="alice", on_event=take if kind == "plain" else take_later)
    await client.join_realtime("g")
    await client.post_realtime("hi", "g")
    await done.wait()
    await client.close_realtime()
    assert [event.type for event in received] == ["success", "message", "close"]
    with pytest.raises(CommandError, match="on_event"):
        await anext(aiter(client))


async def test_a_callback_that_fails_changes_nothing(server: Server, clients: Make) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    received: list[str] = []

    def fail(event: Any) -> None:
        received.append(event.type)
        raise ValueError(event.type)

    client = await clients(server, guest="alice", on_event=fail)
    await client.join_realtime("g")
    await client.post_realtime("hi", "g")
    await client.close_realtime()
    assert received == ["success", "message", "close"]
    assert [str(context["exception"]) for context in reported] == received


async def test_a_callback_may_close_the_client(server: Server, clients: Make) -> None:
    ended = asyncio.Event()

    async def leave(event: Any) -> None:
        if isinstance(event, Connected):
            await client.close_realtime()
        if isinstance(event, Closed):
            ended.set()

    client = clients(server, guest="alice", on_event=leave)
    await client.connect_realtime()
    await ended.wait()
    assert client.state == "closed"


async def test_unread_events_are_dropped_and_counted(server: Server, clients: Make) -> None:
    client = await clients(server, guest="alice", max_events=3)
    await client.join_realtime("g")
    for number in range(10):
        await client.post_realtime(number, "g")
    await client.close_realtime()
    events = [event async for event in client]
    assert [event.message for event in events if isinstance(event, Message)] == [0, 1]
    problem = events[-2]
    assert isinstance(problem, Problem)
    assert (problem.code, problem.lost) == ("EVENTS_LOST", 8)
    assert isinstance(events[-1], Closed)


async def test_closing_leaves_no_task_behind(server: Server, clients: Make) -> None:
    before = asyncio.all_tasks()
    client = await clients(server, guest="alice", on_event=lambda event: None)
    await client.join_realtime("g")
    await client.close_realtime()
    assert asyncio.all_tasks() <= before


async def test_a_token_from_a_function(secured: Server, clients: Make) -> None:
    async def fresh() -> str:
        return token("carol")

    for how in token("carol"), lambda: token("carol"), fresh:
        assert (await clients(secured, token=how)).user_id == "carol"
