"""What the feed of every backend promises: its events, their order, positions, snapshots, and a mirror made of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from hubbub.backends.base import Backend
from hubbub.groups.feed import FeedEvent, Positions
from hubbub.messages import Position, UserRow
from support.feed_mirror import Mirror, until_it_agrees
from support.listener import ADA, ADA2, BOB, EVE, Listener

PATIENCE = 20.0
AGAIN = UserRow("ada", "9")
"""Ada's connection after it has reconnected."""

Short = tuple[str, str | None, str | None]


class Reader:
    """Reads the feed step by step."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.at: Positions | None = None

    async def begin(self) -> Reader:
        self.at = (await self.backend.feed.read(None, 10)).positions
        return self

    async def events(self) -> list[FeedEvent]:
        """Return all events since the last call."""
        found: list[FeedEvent] = []
        while True:
            read = await self.backend.feed.read(self.at, 10)
            assert not read.gap
            self.at = read.positions
            if not read.events:
                return found
            found += [event for _, event in read.events if not event.snapshot]

    async def short(self) -> list[Short]:
        return [short(event) for event in await self.events()]

    async def wait(self, number: int) -> list[FeedEvent]:
        """Wait for so many events."""
        found: list[FeedEvent] = []
        async with asyncio.timeout(PATIENCE):
            while len(found) < number:
                found += await self.events()
                await asyncio.sleep(0.01)
        return found


def short(event: FeedEvent) -> Short:
    """Return type, group and user of an event."""
    return event.type, event.group, event.user_id


@pytest.fixture
async def reader(backend: Backend, node: Listener) -> Reader:
    return await Reader(backend).begin()


async def test_the_first_member_opens_a_group_and_the_last_one_empties_it(backend: Backend, reader: Reader) -> None:
    await backend.join(ADA, "g")
    await backend.join(BOB, "g")
    await backend.leave(ADA)
    await backend.leave(BOB)
    found = await reader.events()
    assert [(event.type, event.user_id, event.number_of_users, event.why) for event in found] == [
        ("group_opened", None, 1, "joined"),
        ("member_joined", "ada", 1, "joined"),
        ("member_joined", "bob", 2, "joined"),
        ("member_left", "ada", 1, "left"),
        ("member_left", "bob", 0, "left"),
        ("group_emptied", None, 0, "left"),
    ]
    numbers = [event.seq for event in found if isinstance(event.seq, int)]
    assert len(numbers) == 6
    assert numbers == sorted(set(numbers))
    assert len({event.epoch for event in found}) == 1
    assert found[1].connection_id == "1"
    assert found[0].connection_id is None


async def test_a_move_is_a_leave_and_a_join(backend: Backend, reader: Reader) -> None:
    await backend.join(ADA, "g")
    await backend.join(BOB, "g")
    await reader.events()
    await backend.join(ADA, "h")
    assert sorted(await reader.short(), key=str) == [
        ("group_opened", "h", None),
        ("member_joined", "h", "ada"),
        ("member_left", "g", "ada"),
    ]


async def test_a_second_tab_is_no_event(backend: Backend, reader: Reader) -> None:
    await backend.join(ADA, "g")
    await reader.events()
    await backend.join(ADA2, "g")
    await backend.connect(AGAIN, 10)
    await backend.remove_connection(AGAIN)
    await backend.leave(ADA)
    assert await reader.events() == []
    await backend.remove_connection(ADA2)
    assert sorted(await reader.short(), key=str) == [("group_emptied", "g", None), ("member_left", "g", "ada")]
    await backend.remove_connection(ADA)
    (event,) = await reader.events()
    assert (event.type, event.user_id, event.connection_id, event.why) == ("user_offline", "ada", "1", "disconnected")
    assert event.number_of_users is None


async def test_the_first_connection_of_a_user_is_an_event(backend: Backend, reader: Reader) -> None:
    await backend.connect(UserRow("max", "7"), 10)
    (event,) = await reader.events()
    assert (event.type, event.user_id, event.connection_id, event.why) == ("user_online", "max", "7", "connected")
    assert event.group is None


async def test_names_of_any_characters(backend: Backend, reader: Reader) -> None:
    row, group = UserRow("a\0 1 \n€", "8"), " 7 g\0\0\n𝄞"
    await backend.connect(row, 10)
    await backend.join(row, group)
    assert set(await reader.short()) == {
        ("user_online", None, row.user_id),
        ("group_opened", group, None),
        ("member_joined", group, row.user_id),
    }


async def test_a_restart_within_the_grace_period_is_no_event(backend: Backend, reader: Reader) -> None:
    await backend.join(ADA, "g")
    await reader.events()
    await backend.send_off([ADA, ADA2, EVE])
    for row in (ADA, ADA2, EVE):
        await backend.remove_connection(row)
    for row in (AGAIN, UserRow("ada", "10"), UserRow("eve", "11")):
        await backend.connect(row, 10)
    await backend.join(AGAIN, "g")
    assert await reader.events() == []
    await backend.remove_connection(AGAIN)
    assert [event[0] for event in await reader.short()] == ["member_left", "group_emptied"]


async def test_a_group_whose_members_are_expected_back_stays_open(backend: Backend, reader: Reader) -> None:
    await backend.join(ADA, "g")
    await backend.send_off([ADA])
    await backend.remove_connection(ADA)
    await reader.events()
    await backend.join(BOB, "g")
    await backend.leave(BOB)
    assert [event[0] for event in await reader.short()] == ["member_joined", "member_left"]


async def test_users_who_stay_away_are_told_once(backend: Backend, reader: Reader) -> None:
    await backend.join(ADA, "g")
    await backend.join(ADA2, "g")
    await reader.events()
    await backend.send_off([ADA, ADA2])
    await backend.remove_connection(ADA)
    await backend.remove_connection(ADA2)
    found = await reader.wait(3)
    assert sorted((short(event) for event in found), key=str) == [
        ("group_emptied", "g", None),
        ("member_left", "g", "ada"),
        ("user_offline", None, "ada"),
    ]
    assert {event.why for event in found} == {"not_back"}
    await backend.join(BOB, "h")
    assert [event[0] for event in await reader.short()] == ["group_opened", "member_joined"]


async def test_reading_goes_on_after_any_event(backend: Backend, reader: Reader) -> None:
    start = reader.at
    for _ in range(3):
        await backend.join(ADA, "g")
        await backend.leave(ADA)
    everything = await reader.events()
    assert start is not None
    found: list[FeedEvent] = []
    at = start
    while True:
        read = await backend.feed.read(at, 1)
        assert not read.gap
        if not read.events:
            break
        at = read.positions
        found += [event for _, event in read.events]
    assert found == everything
    assert (await backend.feed.read(start, 100)).positions == at


@pytest.mark.parametrize("change", [lambda p: Position("other", p.seq), lambda p: Position(p.epoch, p.seq + 1)])
async def test_positions_of_no_event_are_a_gap(
    backend: Backend, reader: Reader, change: Callable[[Position], Position]
) -> None:
    assert reader.at is not None
    await backend.join(ADA, "g")
    await reader.events()
    read = await backend.feed.read(tuple(change(position) for position in reader.at), 10)
    assert (read.gap, read.events, read.positions) == (True, [], reader.at)
    other_number_of_shards = (*reader.at, Position("x", 1))
    assert (await backend.feed.read(other_number_of_shards, 10)).gap


async def test_a_snapshot_has_everybody_once_those_expected_back_included(backend: Backend, reader: Reader) -> None:
    for row, group in ((ADA, "g"), (ADA2, "g"), (BOB, "h"), (EVE, "g")):
        await backend.join(row, group)
    await backend.send_off([BOB])
    await backend.remove_connection(BOB)
    async with Mirror(backend) as mirror:
        async with asyncio.timeout(PATIENCE):
            while not mirror.counts["snapshot_end"]:
                await asyncio.sleep(0.01)
        assert mirror.state.members == {("g", "ada"), ("g", "eve"), ("h", "bob")}
        assert mirror.state.open == {"g", "h"}
        assert mirror.state.online == {"ada", "bob", "eve"}
        assert mirror.seen == []


async def test_a_mirror_equals_the_directory_after_random_steps(make: Callable[[], Backend]) -> None:
    """Snapshots are taken all the time; two nodes change the membership and send their connections off."""
    chance = random.Random(5)
    nodes = [make(), make()]
    for node in nodes:
        await node.start()
        node.attach(Listener(node))
    there: dict[UserRow, Backend] = {}
    number = 0
    async with Mirror(nodes[0]) as first:
        late = Mirror(nodes[1])
        await late.__aenter__()
        for step in range(600):
            node = chance.choice(nodes)
            if chance.random() < 0.3 or not there:
                number += 1
                row = UserRow(chance.choice("abcdefgh"), str(number))
                await node.connect(row, 1000)
                there[row] = node
            row = chance.choice(list(there))
            what = chance.random()
            if what < 0.6:
                await there[row].join(row, chance.choice("12345"))
            elif what < 0.75:
                await there[row].leave(row)
            elif what < 0.9:
                await there.pop(row).remove_connection(row)
            elif what < 0.95:
                await there[row].send_off([row])
                await there.pop(row).remove_connection(row)
            if step % 50 == 49:
                await late.__aexit__()
                late = Mirror(nodes[1])
                await late.__aenter__()
            await asyncio.sleep(0)
        online = {row.user_id for row in there}
        await until_it_agrees(first, nodes[0], online)
        await until_it_agrees(late, nodes[1], online)
        assert first.repeated == []
        assert first.counts["gap"] == 0
        await late.__aexit__()
    for node in nodes:
        await node.close()
