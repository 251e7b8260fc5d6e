"""The feed of a single process: what is kept, for how long, and for whom."""

from __future__ import annotations

from itertools import count

import pytest

from hubbub.groups.feed import FeedEvent, FeedWindow
from hubbub.groups.feed_log import CHARACTER, OVERHEAD, FeedLog
from hubbub.messages import Position, UserRow

ADA = UserRow("ada", "1")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(window: FeedWindow | None = None) -> tuple[FeedLog, Clock]:
    clock, epochs = Clock(), count(1)
    return FeedLog(window or FeedWindow(), clock, clock, lambda: f"epoch{next(epochs)}"), clock


def test_nothing_is_written_before_somebody_reads() -> None:
    log, _ = make()
    before, read, after = log.on, log.read(None, 10), log.on
    assert (before, after) == (False, True)
    assert (read.events, read.positions, read.gap) == ([], (Position("epoch1", 0),), False)


def test_a_join_and_a_leave() -> None:
    log, _ = make()
    start = log.read(None, 10).positions
    log.online(ADA, "connected")
    log.joined("g", ADA, "joined", 1, opened=True)
    log.left("g", ADA, "left", 0, emptied=True)
    log.offline(ADA, "disconnected")
    read = log.read(start, 10)
    assert [event for _, event in read.events] == [
        FeedEvent("user_online", None, "ada", "1", 1, "epoch1", 1000.0, "connected"),
        FeedEvent("group_opened", "g", None, None, 2, "epoch1", 1000.0, "joined", 1),
        FeedEvent("member_joined", "g", "ada", "1", 3, "epoch1", 1000.0, "joined", 1),
        FeedEvent("member_left", "g", "ada", "1", 4, "epoch1", 1000.0, "left", 0),
        FeedEvent("group_emptied", "g", None, None, 5, "epoch1", 1000.0, "left", 0),
        FeedEvent("user_offline", None, "ada", "1", 6, "epoch1", 1000.0, "disconnected"),
    ]
    assert log.read(read.positions, 10).events == []
    assert [event.seq for _, event in log.read((Position("epoch1", 3),), 2).events] == [4, 5]


@pytest.mark.parametrize("position", [Position("epoch0", 0), Position("epoch1", 4), Position("epoch1", -1)])
def test_other_positions_are_a_gap(position: Position) -> None:
    log, _ = make()
    log.read(None, 10)
    for _ in range(3):
        log.online(ADA, "connected")
    read = log.read((position,), 10)
    assert (read.events, read.positions, read.gap) == ([], (Position("epoch1", 3),), True)


def test_the_number_of_events_is_bounded() -> None:
    log, _ = make(FeedWindow(events=32))
    start = log.read(None, 10).positions
    for _ in range(1000):
        log.online(ADA, "connected")
        assert len(log) <= 34
    assert len(log) >= 32
    assert log.read(start, 10).gap
    assert not log.read((Position("epoch1", 970),), 10).gap


def test_their_bytes_are_bounded() -> None:
    size = OVERHEAD + CHARACTER * 101
    log, _ = make(FeedWindow(bytes=160 * size))
    log.read(None, 10)
    for _ in range(1000):
        log.online(UserRow("x" * 100, "1"), "connected")
        assert len(log) <= 170
    assert len(log) >= 140


def test_old_events_are_dropped_and_without_a_reader_all_of_them() -> None:
    log, clock = make(FeedWindow(age=60))
    start = log.read(None, 10).positions
    log.online(ADA, "connected")
    clock.now += 50
    later = log.read(start, 10).positions
    log.offline(ADA, "disconnected")
    clock.now += 20
    log.sweep()
    assert len(log) == 1
    assert log.read(start, 10).gap
    assert not log.read(later, 10).gap
    clock.now += 61
    log.sweep()
    assert (log.on, len(log)) == (False, 0)
    log.sweep()
    assert log.read(later, 10).gap
    assert log.read(None, 10).positions == (Position("epoch2", 0),)
