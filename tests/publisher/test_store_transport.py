"""A publisher on the store: without nodes, when nodes come with other settings, and when the store fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from hubbub import AsyncPublisher, CommandError
from hubbub.server import Server
from support.clients import SECRET, Peer, token
from support.store import Store, free_port

Peers = Callable[..., Awaitable[Peer]]
Start = Callable[..., Awaitable[Server]]


async def history(peers: Peers, node: Server) -> list[Any]:
    """Return what a new member of the group gets."""
    eve = await peers(node, token=token("eve"))
    joined = await eve.do("join", group="g", history=1000)
    return [(await eve.event())["message"] for _ in range(joined.get("replayed", 0))]


async def test_what_is_kept_is_what_the_nodes_keep(store: Store, start: Start, peers: Peers) -> None:
    async with AsyncPublisher(store.url()) as publisher:
        assert (await publisher.post("g", "nobody")).recipients == 0  # no node has ever registered
        for number in (3, 5, 2):  # nodes that start later with other settings, while the publisher goes on
            node = await start(backend=store.url(), secret=SECRET, history_messages=number)
            ada = await peers(node, token=token("ada"), group="g")
            for n in range(8):
                assert (await publisher.post("g", n)).recipients >= 1
            assert await history(peers, node) == list(range(8 - number, 8))
            await ada.do("leave")


async def test_a_key_lasts_as_long_as_the_nodes_say(store: Store, start: Start, peers: Peers) -> None:
    node = await start(backend=store.url(), secret=SECRET, history_age=10)
    ada = await peers(node, token=token("ada"), group="g")
    async with AsyncPublisher(store.url()) as publisher:
        await publisher.post("g", 1, key="k")
        (key,) = [name for name in await names(store) if b"}:k:" in name]
        lasts = await store.run("PTTL", key)
    assert isinstance(lasts, int)
    assert 5000 < lasts <= 10_000
    assert (await ada.event())["message"] == 1


async def test_a_client_that_resumes_gets_what_was_posted_meanwhile(store: Store, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"))
    position = (await ada.do("join", group="g"))["position"]
    await ada.socket.close()
    async with AsyncPublisher(store.url()) as publisher:
        for n in range(3):
            await publisher.post("g", n)
    again = await peers(node, token=token("ada"))
    joined = await again.do("join", group="g", since=position)
    assert (joined["replayed"], joined.get("gap", False)) == (3, False)
    assert [(await again.event())["message"] for _ in range(3)] == [0, 1, 2]


async def test_nodes_of_a_later_version(store: Store) -> None:
    await store.run("SET", "hubbub:{0.0}:window", "messages=1 colours=red")
    code, text = await failure(store.url())
    assert (code, "its nodes have a newer version than this program" in text) == ("UNAVAILABLE", True)


async def test_a_store_that_is_away_for_a_moment() -> None:
    with Store() as store:
        async with AsyncPublisher(store.url()) as publisher:
            await publisher.post("g", 1)
            store.kill()
            waiting = asyncio.create_task(publisher.post("g", 2))
            await asyncio.sleep(0)
            await asyncio.to_thread(store.start)
            assert (await waiting).recipients == 0
            await store.run("SCRIPT", "FLUSH")
            assert (await publisher.post("g", 3)).recipients == 0


async def test_where_no_store_answers(store: Store) -> None:
    port = free_port()
    code, text = await failure(f"valkey://user:secret@127.0.0.1:{port}")
    assert code == "UNAVAILABLE"
    assert f"127.0.0.1:{port}" in text
    assert "Tried" in text
    assert "secret" not in text


async def test_where_something_else_answers() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        code, text = await failure(f"valkey://127.0.0.1:{other.sockets[0].getsockname()[1]}")
    assert (code, "does not answer like Valkey" in text) == ("UNAVAILABLE", True)


async def test_a_wrong_password() -> None:
    with Store() as store:
        await store.run("CONFIG", "SET", "requirepass", "right")
        address = f"127.0.0.1:{store.port}"
        for login in ("", ":wrong@"):
            code, text = await failure(f"valkey://{login}{address}", attempts=False)
            assert code == "UNAUTHORIZED"
            assert "refuses this user or password" in text
        async with AsyncPublisher(f"valkey://:right@{address}") as publisher:
            assert (await publisher.post("g", 1)).recipients == 0


async def test_a_full_store_and_a_key_of_the_wrong_type(node: Server, store: Store, peers: Peers) -> None:
    await peers(node, token=token("ada"), group="g")
    try:
        await store.run("CONFIG", "SET", "maxmemory", "1")
        assert "The store is full (OOM)" in (await failure(store.url()))[1]
    finally:
        await store.run("CONFIG", "SET", "maxmemory", "0")
    await store.run("SET", "hubbub:{0.0}:g:h", "somebody's")
    async with AsyncPublisher(store.url(), timeout=0.5) as publisher:
        with pytest.raises(CommandError, match="A key in the store has the wrong type"):
            await publisher.post("h", 1)
        assert (await publisher.post("g", 1)).recipients == 1
    await store.run("DEL", "hubbub:{0.0}:g:h")


async def test_another_database(store: Store, start: Start, peers: Peers) -> None:
    node = await start(backend=store.url(3), secret=SECRET)
    ada = await peers(node, token=token("ada"), group="g")
    async with AsyncPublisher(store.url()) as other, AsyncPublisher(store.url(3)) as publisher:
        assert (await other.post("g", "other")).recipients == 0
        assert (await publisher.post("g", "here")).recipients == 1
    assert (await ada.event())["message"] == "here"


async def failure(url: str, *, attempts: bool = True) -> tuple[str, str]:
    async with AsyncPublisher(url, timeout=0.8) as publisher:
        with pytest.raises(CommandError) as caught:
            await publisher.post("g", 1)
    if not attempts:
        assert "Tried" not in caught.value.message
    return caught.value.code, caught.value.message


async def names(store: Store) -> list[bytes]:
    found: Any = await store.run("KEYS", "*")
    return list(found)
