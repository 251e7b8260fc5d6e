"""Posts that go to the store together: order, results of each, faults in the middle, and who is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from msgspec import Raw

from hubbub.backends.valkey import posts
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.errors import CommandError
from hubbub.fanout import SHARED_FROM
from hubbub.groups.history import GROUP, OVERHEAD, Window
from hubbub.messages import Gap, Message, UserRow
from support.listener import ADA, BOB, EVE, Listener
from support.store import Store
from support.store_link import connection, first_shard, opened, reset
from support.waiting import PATIENCE

SMALL = Window(messages=64, user=60_000, age=30.0)


def message(text: object, sender: UserRow = ADA, group: str = "g") -> Message:
    return Message(Raw(b'"%b"' % str(text).encode()), sender.user_id, sender.connection_id, group, 0)


def heard(listener: Listener, group: str = "g") -> list[tuple[int, str]]:
    """Return number and text of each message of the group."""
    return [
        (event.seq, bytes(event.message).decode().strip('"'))
        for name, event in listener.group_events
        if name == group and isinstance(event, Message)
    ]


async def make(store: Store, window: Window | None = None) -> tuple[ValkeyBackend, Listener]:
    backend = ValkeyBackend(parse_address(store.url()), window)
    listener = Listener(backend)
    backend.attach(listener)
    await backend.start()
    return backend, listener


@pytest.fixture
async def two(store: Store) -> AsyncIterator[list[tuple[ValkeyBackend, Listener]]]:
    """Two nodes: ada is on the first one, bob and eve are on the second; ada and bob are in "g", eve is in "h"."""
    nodes = [await make(store), await make(store)]
    for (backend, _), row, group in ((nodes[0], ADA, "g"), (nodes[1], BOB, "g"), (nodes[1], EVE, "h")):
        await backend.connect(row, 10)
        await backend.join(row, group)
    yield nodes
    for backend, _ in nodes:
        await backend.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def outcome(post: Any) -> int | str:
    try:
        return int(await post)
    except CommandError as error:
        return error.code.value


async def test_posts_of_one_tick_keep_their_order_and_get_their_own_results(two: Any) -> None:
    (one, here), (_, there) = two
    counts = await asyncio.gather(
        *(one.publish(message(n, group="gh"[n % 2])) for n in range(20)), one.publish(message("lost", group="nowhere"))
    )
    assert counts == [2, 1] * 10 + [0]
    await asyncio.gather(here.settled(), there.settled())
    assert heard(here) == heard(there) == [(n // 2 + 1, str(n)) for n in range(0, 20, 2)]
    assert heard(here, "h") == []  # it has no member of that group
    assert heard(there, "h") == [(n // 2 + 1, str(n)) for n in range(1, 20, 2)]


async def test_two_nodes_that_post_at_once_deliver_the_same_in_the_same_order(two: Any) -> None:
    (one, here), (other, there) = two
    for number in range(20):
        await asyncio.gather(
            *(one.publish(message(f"a{number}.{n}")) for n in range(3)),
            *(other.publish(message(f"b{number}.{n}", BOB)) for n in range(3)),
        )
    await asyncio.gather(here.settled(), there.settled())
    assert heard(here) == heard(there)
    assert [seq for seq, _ in heard(here)] == list(range(1, 121))


async def test_a_large_tick_takes_several_script_calls(two: Any) -> None:
    (one, here), (_, there) = two
    number = 2 * posts.MAX_BATCH + 7
    assert set(await asyncio.gather(*(one.publish(message(n)) for n in range(number)))) == {2}
    await asyncio.gather(here.settled(), there.settled())
    assert heard(here) == heard(there) == [(n + 1, str(n)) for n in range(number)]


async def test_too_many_posts_at_once_are_refused(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "MAX_PENDING", 10)
    (one, here), _ = two
    results = await asyncio.gather(*(outcome(one.publish(message(n))) for n in range(12)))
    assert results == [2] * 10 + ["UNAVAILABLE"] * 2
    assert len(heard(here)) == 10
    assert await one.publish(message("again")) == 2


async def test_a_key_of_the_wrong_type_concerns_only_its_group(two: Any, store: Store) -> None:
    (one, here), _ = two
    await store.run("SET", "hubbub:{0.0}:h:h", "somebody else's")
    results = await asyncio.gather(*(outcome(one.publish(message(n, group="ghg"[n % 3]))) for n in range(6)))
    assert results == [2, "UNAVAILABLE", 2] * 2
    assert [text for _, text in heard(here)] == ["0", "2", "3", "5"]
    assert opened(one) == 1
    await store.run("DEL", "hubbub:{0.0}:h:h")
    await until(lambda: one.ready)
    async with asyncio.timeout(PATIENCE):
        while await outcome(one.publish(message("again", group="h"))) != 1:
            await asyncio.sleep(0.05)


async def test_a_sender_over_the_limit_is_refused_and_the_others_are_not(store: Store) -> None:
    one, here = await make(store, SMALL)
    for row in (ADA, BOB):
        await one.connect(row, 10)
    large = "x" * 10_000
    for number in range(5):
        await one.join(ADA, f"g{number}")
        await one.publish(message(large, group=f"g{number}"))
    await one.join(ADA, "g")
    await one.join(BOB, "g")
    senders = [BOB, ADA, BOB, ADA, BOB]
    results = await asyncio.gather(*(outcome(one.publish(message(large, sender))) for sender in senders))
    assert results == [2, "RATE_LIMITED", 2, "RATE_LIMITED", 2]
    assert [seq for seq, _ in heard(here)] == [1, 2, 3]
    kept = await one.join(BOB, "g", history=10)
    assert [(event.seq, event.sender) for event in kept.events if isinstance(event, Message)] == [
        (number, "bob") for number in (1, 2, 3)
    ]
    await one.close()


async def test_members_of_one_group_pay_for_what_it_grows_by_and_no_more(store: Store) -> None:
    """The history drops entries in chunks; whoever triggers that must neither gain nor lose by it."""
    one, _ = await make(store, SMALL)
    for row in (ADA, BOB):
        await one.connect(row, 10)
        await one.join(row, "g")
    for number in range(400):  # bob's are 20 times as large, and each drops one of ada's, as often as the reverse
        row, size = ((ADA, 20), (BOB, 400))[number % 3 == 0]
        await one.publish(message("x" * (size + number % 7), row))
    run: Callable[..., Coroutine[Any, Any, Any]] = store.run
    paid = [int(await run("GET", f"hubbub:{{0.0}}:b:{row.user_id}") or 0) for row in (ADA, BOB)]
    entries = await run("LRANGE", "hubbub:{0.0}:h:g", 0, -1)
    size = sum(len(entry) + OVERHEAD for entry in entries)
    assert SMALL.messages <= len(entries) <= SMALL.messages * 17 // 16
    numbers = await run("HMGET", "hubbub:{0.0}:g:g", "s", "k", "b", "p")
    assert sum(paid) - GROUP - len("g") == size + int(numbers[3])
    assert (numbers[0], numbers[1], int(numbers[2])) == (b"400", b"400", size)
    await one.close()


@pytest.mark.parametrize("window", [Window(messages=64), Window(bytes=9_000), Window(messages=0)])
async def test_a_post_alone_leaves_the_same_in_the_store_as_one_among_others(store: Store, window: Window) -> None:
    """``lone.lua`` is a short path through ``posts.lua`` for the usual case."""
    one, _ = await make(store, window)
    run: Callable[..., Coroutine[Any, Any, Any]] = store.run
    for row, group in ((ADA, "g"), (BOB, "h"), (EVE, "i")):
        await one.connect(row, 10)
        await one.join(row, group)
    chance = random.Random(7)
    for number in range(300):
        size = chance.choice((0, 10, 300, 900))
        if number == 200:  # as if nobody had posted for long
            for group in ("g", "h"):
                await run("DEL", f"hubbub:{{0.0}}:h:{group}")
        await one.publish(message("x" * size, ADA, "g"))
        filler = Message(Raw(b"1"), "server", None, "i", 0)
        await asyncio.gather(one.publish(message("x" * size, BOB, "h")), one.publish(filler))
        if number % 20 == 0:
            found = [await run("HMGET", f"hubbub:{{0.0}}:g:{group}", "s", "k", "b", "p") for group in ("g", "h")]
            assert found[0] == found[1]
            assert found[0][0] == b"%d" % (number + 1)
    kept = [await run("LRANGE", f"hubbub:{{0.0}}:h:{group}", 0, -1) for group in ("g", "h")]
    assert list(map(len, kept[0])) == list(map(len, kept[1]))
    paid = [await run("GET", f"hubbub:{{0.0}}:b:{row.user_id}") for row in (ADA, BOB)]
    assert paid[0] == paid[1]
    await one.close()


@pytest.mark.parametrize("turns", range(4))
async def test_a_connection_lost_in_the_middle_of_a_batch(two: Any, turns: int) -> None:
    """Each post is refused or done; what the store has kept is delivered once, in order, to all nodes."""
    (one, here), (other, there) = two
    await one.publish(message("before"))
    running = [asyncio.ensure_future(outcome(one.publish(message(n)))) for n in range(10)]
    for _ in range(turns):
        await asyncio.sleep(0)
    reset(one)
    results = await asyncio.gather(*running)
    assert set(results) <= {2, "UNAVAILABLE"}
    assert len(set(results)) == 1
    await until(lambda: one.ready and opened(one) == 2)
    assert await one.publish(message("after")) == 2
    await asyncio.gather(here.settled(), there.settled())
    assert heard(here) == heard(there)
    assert not [event for _, event in here.group_events if isinstance(event, Gap)]
    assert [seq for seq, _ in heard(here)] == list(range(1, len(heard(here)) + 1))
    assert len(heard(here)) in (2, 12)
    if results[0] == 2:
        assert len(heard(here)) == 12
    assert await other.publish(message("bob's", BOB)) == 2


async def test_a_member_that_leaves_while_its_post_is_on_the_way(two: Any) -> None:
    (one, here), (_, there) = two
    post, left = asyncio.ensure_future(one.publish(message("1"))), asyncio.ensure_future(one.leave(ADA))
    await asyncio.gather(post, left)
    assert await one.publish(message("2")) == 1
    await asyncio.gather(here.settled(), there.settled())
    assert "2" not in [text for _, text in heard(here)]
    assert [text for _, text in heard(there)] == ["1", "2"]
    assert (await one.join(ADA, "g", history=5)).position.seq == 2


async def test_nothing_is_published_unless_another_node_listens(two: Any, store: Store) -> None:
    (one, here), (other, _) = two
    received: list[bytes] = []
    stub = connection(one)
    receive = stub._receive

    def count(channel: bytes, payload: bytes) -> None:
        received.append(payload)
        receive(channel, payload)

    stub._receive = count
    await one.publish(message("1"))
    await here.settled()
    assert [payload[:2] for payload in received] == [b"M1"]  # its own message came back, and was dropped
    await other.leave(BOB)
    await here.settled()
    received.clear()
    assert await one.publish(message("2")) == 1
    await here.settled()
    assert received == []
    assert heard(here) == [(1, "1"), (2, "2")]
    assert await other.publish(message("3", UserRow("backend", "0"))) == 1  # from a node without a member
    await here.settled()
    assert [text for _, text in heard(here)] == ["1", "2", "3"]


async def test_a_waiter_that_is_cancelled_harms_nobody(two: Any) -> None:
    (one, here), _ = two
    running = [asyncio.ensure_future(one.publish(message(n))) for n in range(3)]
    await asyncio.sleep(0)
    running[1].cancel()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert (results[0], results[2]) == (2, 2)
    await here.settled()
    assert [text for _, text in heard(here)] == ["0", "1", "2"]


@pytest.mark.parametrize(("members", "calls"), [(SHARED_FROM - 1, 2), (SHARED_FROM, 1)])
async def test_a_batch_of_a_large_group_waits_for_one_more_look_at_the_sockets(
    store: Store, members: int, calls: int
) -> None:
    one, here = await make(store)
    for number in range(members):
        row = UserRow(f"user{number}", f"c{number}")
        await one.connect(row, 10)
        await one.join(row, "g")
    link = first_shard(one).link
    run_soon, sent = link.run_soon, []

    def count(done: Any, script: str, *arguments: Any) -> None:
        sent.append(script)
        run_soon(done, script, *arguments)

    link.run_soon = count
    first = asyncio.ensure_future(one.publish(message("1")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the tick of the first post has ended
    assert await one.publish(message("2")) == members
    assert await first == members
    assert sent == ["posts"] * calls
    assert heard(here) == [(1, "1"), (2, "2")]
    await one.close()
