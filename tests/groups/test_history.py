"""The window, held against a list that keeps every message there ever was, with the time when it came."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.groups.history import CHARACTER, GRAINS, OVERHEAD, Histories, History, Window, parse_window
from hubbub.messages import Message, Position

BESIDES = OVERHEAD + CHARACTER * len("ada")
WINDOW = Window(messages=6, bytes=4 * (BESIDES + 40), age=64.0, total=1_000_000)


def message(size: int) -> Message:
    return Message(msgspec.Raw(b"1" * size), "ada", "1", "g", 0)


class Told(NamedTuple):
    """What the oracle remembers of one message."""

    when: float
    size: int


class Oracle:
    """A history and everything that was ever put into it."""

    def __init__(self, store: Histories, limit: int = WINDOW.messages) -> None:
        self.history: History = store.new(limit)
        self.told: list[Told] = []

    def append(self, now: float, size: int) -> None:
        event = message(size)
        self.history.append(event)
        self.told.append(Told(now, size))
        assert event.seq == len(self.told)  # rises by one

    def must_have(self, seq: int, now: float) -> bool:
        """Whether everything after `seq` is within the window, which is then a promise."""
        later = self.told[seq:]
        fits = len(later) <= WINDOW.messages and sum(each.size + BESIDES for each in later) <= WINDOW.bytes
        return fits and all(each.when > now - WINDOW.age for each in later)

    def check(self, now: float) -> None:
        for seq in range(len(self.told) + 1):
            found = self.history.since(Position(self.history.epoch, seq))
            assert found.position == Position(self.history.epoch, len(self.told))
            if found.gap:
                assert not self.must_have(seq, now)
                assert found.events == ()
            else:  # everything, in order, and nothing else
                assert [event.seq for event in found.events] == list(range(seq + 1, len(self.told) + 1))
                assert [len(event.message) for event in found.events] == [each.size for each in self.told[seq:]]
                assert len(found.events) <= WINDOW.messages
                assert sum(len(event.message) + BESIDES for event in found.events) <= WINDOW.bytes


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 700)),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, WINDOW.age / 2, WINDOW.age]), st.booleans()),
    ),
    max_size=60,
)


@given(steps)
@settings(max_examples=300, deadline=None)
def test_everything_after_a_position_or_a_gap(commands: list[tuple[str, float, int]]) -> None:
    store, now = Histories(WINDOW, "boot"), 0.0
    oracles = [Oracle(store) for _ in range(3)]
    for what, value, more in commands:
        if what == "append":
            oracles[int(value)].append(now, more)
        else:
            now += value
            if more:
                store.sweep(now)
        for oracle in oracles:
            oracle.check(now)
    # What is kept too long costs memory: with a look every second it is gone a little after its age.
    store.sweep(now)
    for _ in range(2):
        now += WINDOW.age / GRAINS
        store.sweep(now)
    store.sweep(now + WINDOW.age)
    for oracle in oracles:
        assert oracle.history.last(1).events == ()
    assert store.total == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2000)), min_size=1, max_size=80))
@settings(max_examples=100, deadline=None)
def test_all_histories_together_are_bounded_and_the_oldest_go_first(appends: list[tuple[int, int]]) -> None:
    window = Window(messages=1000, bytes=1_000_000, age=64.0, total=10_000)
    store, now = Histories(window, "boot"), 0.0
    histories = [store.new(window.messages) for _ in range(4)]
    told: list[tuple[int, int | None]] = []  # history and seq, the oldest first
    for who, size in appends:
        event = message(size)
        histories[who].append(event)
        told.append((who, event.seq))
        now += window.age / GRAINS  # each has a mark of its own
        store.sweep(now)
        left = sum(len(event.message) + BESIDES for each in histories for event in each.last(1000).events)
        assert left == store.total
        assert left <= window.total
    alive = {(who, event.seq) for who, each in enumerate(histories) for event in each.last(1000).events}
    flags = [each in alive for each in told]
    assert flags == sorted(flags)  # no younger one went before an older one


def test_another_epoch_or_a_number_that_never_was_is_a_gap() -> None:
    store = Histories(WINDOW, "boot")
    one, other = store.new(5), store.new(5)
    assert one.epoch != other.epoch
    one.append(message(1))
    for since in (Position(other.epoch, 0), Position(other.epoch, 1), Position(one.epoch, 2), Position(one.epoch, -1)):
        found = one.since(since)
        assert (found.gap, found.events, found.position) == (True, (), Position(one.epoch, 1))


def test_a_gap_gets_as_many_messages_as_a_first_join() -> None:
    history = Histories(WINDOW, "boot").new(5)
    for _ in range(9):
        history.append(message(1))
    found = history.replay(Position(history.epoch, 1), 3)
    assert found.gap
    assert [event.seq for event in found.events] == [7, 8, 9]
    assert [event.seq for event in history.replay(None, 99).events] == [6, 7, 8, 9]  # more would be too many bytes
    found = history.replay(Position(history.epoch, 8), 3)  # who can go on hears what is new, however much is asked for
    assert (found.gap, [event.seq for event in found.events]) == (False, [9])


def test_a_message_larger_than_the_window_is_not_kept_but_counted() -> None:
    history = Histories(WINDOW, "boot").new(5)
    history.append(message(1))
    history.append(message(WINDOW.bytes))
    assert history.position.seq == 2
    assert history.since(Position(history.epoch, 1)).gap
    assert not history.since(Position(history.epoch, 2)).gap


def test_nothing_is_kept_where_nothing_is_to_be_kept() -> None:
    store = Histories(WINDOW, "boot")
    history = store.new(0)
    history.append(message(1))
    store.sweep(1.0)
    assert (history.position.seq, store.total, store.grown) == (1, 0, [])
    assert history.since(Position(history.epoch, 0)).gap
    assert not history.since(history.position).gap


def test_a_lively_history_has_few_marks() -> None:
    store = Histories(WINDOW, "boot")
    history = store.new(6)
    for step in range(10_000):
        history.append(message(1))
        store.sweep(step * WINDOW.age / 1000)
    assert len(store._marks) <= GRAINS + 1


@given(
    st.builds(
        Window,
        messages=st.integers(0, 10**6),
        bytes=st.integers(0, 10**12),
        age=st.floats(0.001, 1e7),
        inbox=st.integers(0, 10**6),
        user=st.integers(0, 10**12),
    )
)
def test_what_nodes_register_can_be_read(window: Window) -> None:
    shared = window.shared()
    read = parse_window(shared)
    assert read.shared() == shared
    assert (read.messages, read.bytes, read.inbox, read.user) == (
        window.messages,
        window.bytes,
        window.inbox,
        window.user,
    )
    assert abs(read.age - window.age) <= window.age / 10**5
    assert parse_window("").messages == parse_window("").inbox == 0
    for wrong in (f"{shared} more=1", shared[:-1] + "x", "messages=1", f"{shared}'"):
        with pytest.raises(ValueError, match="not a window"):
            parse_window(wrong)
