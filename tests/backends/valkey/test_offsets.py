"""Offsets: who receives a group, how far, and what is asked for after a gap."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.backends.valkey.offsets import NOWHERE, Offsets, Since, parse_replay, script_position
from hubbub.messages import Position, Private


def entry(data: bytes) -> Private:
    return Private(msgspec.Raw(data), "ada", None)


def test_the_first_and_the_last_listener_are_told() -> None:
    offsets = Offsets()
    assert [offsets.add("g"), offsets.add("g"), offsets.add("h")] == [True, False, True]
    assert offsets.names() == ["g", "h"]
    assert [offsets.remove("g"), offsets.remove("g"), offsets.remove("h")] == [False, True, True]
    assert offsets.names() == []


def test_a_message_is_delivered_once_and_in_order() -> None:
    offsets = Offsets()
    offsets.add("g")
    assert not offsets.receive("g", 1)  # nobody has joined yet
    offsets.start_at("g", Position("e", 5))
    assert [offsets.receive("g", seq) for seq in (4, 5, 6, 6, 9, 7)] == [False, False, True, False, True, False]
    assert offsets.received == {"g": Position("e", 9)}


def test_nothing_is_kept_of_a_group_without_listeners() -> None:
    offsets = Offsets()
    offsets.add("g")
    offsets.start_at("g", Position("e", 5))
    offsets.remove("g")
    assert offsets.received == {}
    assert not offsets.receive("g", 6)


def test_a_group_that_nobody_has_joined_is_removed_too() -> None:
    offsets = Offsets()
    offsets.add("g")
    assert offsets.remove("g")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab"))))
def test_listeners_are_counted(steps: list[tuple[bool, str]]) -> None:
    offsets, counts = Offsets(), {"a": 0, "b": 0}
    for joins, name in steps:
        if joins:
            counts[name] += 1
            assert offsets.add(name) == (counts[name] == 1)
        elif counts[name]:
            counts[name] -= 1
            assert offsets.remove(name) == (counts[name] == 0)
        assert sorted(offsets.names()) == [each for each in "ab" if counts[each]]


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (None, NOWHERE),
        (Position("", 0), Since("=", 0)),  # not the same as none: no epoch is empty, so this is a gap
        (Position("e", 2**53 - 1), Since("=e", 2**53 - 1)),
        (Position("e", 2**53), Since("=e", -1)),
        (Position("e", -7), Since("=e", -1)),
    ],
)
def test_positions_as_the_scripts_take_them(position: Position | None, expected: Since) -> None:
    assert script_position(position) == expected


def test_a_replay_of_a_script_is_numbered_up_to_its_last_message() -> None:
    replay = parse_replay([b"e", 7, 0, [b"1", b"2", b"3"]], entry)
    assert replay.position == Position("e", 7)
    assert [(event.seq, bytes(event.message)) for event in replay.events] == [(5, b"1"), (6, b"2"), (7, b"3")]
    assert replay.gap is False


def test_an_empty_replay_with_a_gap() -> None:
    replay = parse_replay([b"e", 7, 1, []], entry)
    assert (replay.position, replay.events, replay.gap) == (Position("e", 7), (), True)
