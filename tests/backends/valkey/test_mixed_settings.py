"""Nodes with different history settings, as during a rolling change: a resume gets everything, or a gap."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest
from msgspec import Raw

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.groups.history import OVERHEAD, Replay, Window
from hubbub.messages import Message, Position, Private, UserRow
from support.store import Store
from support.store_model import NoticeRecorder
from support.waiting import PATIENCE

ADA = UserRow("ada", "1")
WINDOWS = {
    "nothing": Window(messages=0, inbox=0),
    "few": Window(messages=3, inbox=2),
    "many": Window(),
    "small": Window(bytes=4 * (OVERHEAD + 10)),
    "short": Window(age=1.0),
    "two seconds": Window(age=2.0),  # the store counts whole seconds
}


async def nodes(store: Store, *names: str) -> list[ValkeyBackend]:
    made = []
    for name in names:
        node = ValkeyBackend(parse_address(store.url()), WINDOWS[name])
        node.attach(NoticeRecorder())
        await node.start()
        made.append(node)
    return made


def told(replay: Replay) -> list[int]:
    return [int(bytes(event.message)) for event in replay.events]


@pytest.mark.parametrize("kind", ["group", "user"])
@pytest.mark.parametrize("seed", range(3))
async def test_a_client_that_resumes_gets_everything_or_a_gap(store: Store, kind: str, seed: int) -> None:
    chance = random.Random(seed)
    some = await nodes(store, *WINDOWS)
    await some[2].connect(ADA, 10)
    first = await some[2].join(ADA, "g")
    position, posted, gaps, whole = first.position, {0: first.position}, 0, 0
    if kind == "user":
        posted = {0: (await some[2].connect(UserRow("ada", "0"), 10)).position}
    for number in range(1, 300):
        node = chance.choices(some[:5], [1, 4, 8, 4, 4])[0]
        if kind == "group":
            await node.publish(Message(Raw(b"%d" % number), "bob", "9", "g", 0))
        else:
            await node.post_to_user("ada", Private(Raw(b"%d" % number), "bob", "9"))
        since = chance.choice(list(posted)[-6:])
        row = UserRow("ada", f"r{number}")
        reader = chance.choice(some[:5])
        replay = await reader.connect(row, 1000, posted[since] if kind == "user" else None)
        if kind == "group":
            replay = await reader.join(row, "g", posted[since], history=2)
        await reader.remove_connection(row)
        position = replay.position
        assert position.seq == number
        posted[number] = position
        if replay.gap:
            gaps += 1
            assert told(replay) in ([], [number], [number - 1, number])
        else:
            whole += since < number
            assert told(replay) == list(range(since + 1, number + 1))
            assert [event.seq for event in replay.events] == told(replay)
    assert gaps > 20
    assert whole > 20
    for node in some:
        await node.close()


async def test_numbers_that_an_older_version_gave_without_keeping_anything_are_a_gap(store: Store) -> None:
    [node] = await nodes(store, "many")
    await node.connect(ADA, 10)
    start = (await node.join(ADA, "g")).position
    for number in (1, 2):
        await node.publish(Message(Raw(b"%d" % number), "bob", "9", "g", 0))
    await store.run("HINCRBY", "hubbub:{0.0}:g:g", "s", 1)  # what 0.3 does with --history-messages 0
    behind = await node.join(ADA, "g", Position(start.epoch, 2), history=10)
    assert (behind.position.seq, behind.gap, told(behind)) == (3, True, [])
    await node.publish(Message(Raw(b"4"), "bob", "9", "g", 0))
    assert (await node.join(ADA, "g", Position(start.epoch, 2))).gap
    after = await node.join(ADA, "g", Position(start.epoch, 3))
    assert (after.gap, told(after)) == (False, [4])
    await node.close()


async def test_catching_up_over_messages_that_were_not_kept_is_a_gap(store: Store) -> None:
    """A node that was cut off asks for what it missed; that too is everything, or a gap."""
    keeps, forgets = await nodes(store, "many", "nothing")
    await keeps.connect(ADA, 10)
    start = (await keeps.join(ADA, "g")).position
    for number, node in enumerate((keeps, forgets, keeps, keeps), 1):
        await node.publish(Message(Raw(b"%d" % number), "bob", "9", "g", 0))
    for since, gap, heard in ((0, True, []), (1, True, []), (2, False, [3, 4]), (4, False, [])):
        replay = await keeps.join(ADA, "g", Position(start.epoch, since))
        assert (replay.gap, told(replay)) == (gap, heard), since
    await keeps.close()
    await forgets.close()


async def test_nodes_that_keep_different_amounts_say_so(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "hubbub.valkey")
    some = await nodes(store, "many", "many")
    assert caplog.messages == []
    some += await nodes(store, "nothing")
    assert len(caplog.messages) == 1
    assert "messages=1000" in caplog.text
    assert "messages=0" in caplog.text
    for node in some:
        await node.close()


async def test_messages_older_than_the_window_go_though_the_group_goes_on(store: Store) -> None:
    [node] = await nodes(store, "two seconds")
    await node.connect(ADA, 10)
    start = (await node.join(ADA, "g")).position
    await node.publish(Message(Raw(b"1"), "bob", "9", "g", 0))
    number = 1
    async with asyncio.timeout(PATIENCE):
        while await store.run("LLEN", "hubbub:{0.0}:h:g") == number:
            await asyncio.sleep(0.1)
            number += 1
            await node.publish(Message(Raw(b"%d" % number), "bob", "9", "g", 0))
    assert (await node.join(ADA, "g", start)).gap
    last = await node.join(ADA, "g", Position(start.epoch, number - 2))
    assert (last.gap, told(last)) == (False, [number - 1, number])
    await node.close()
