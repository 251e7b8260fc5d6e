"""Cursors of the feed, and which events a reader wants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import CommandError
from hubbub.groups.feed import MAX_CURSOR, FeedEvent, Wanted, cursor_of, parse_cursor
from hubbub.messages import Position

epochs = st.text("abcXYZ019_-", min_size=1, max_size=12)
positions = st.lists(st.builds(Position, epochs, st.integers(0, 10**14)), min_size=1, max_size=16).map(tuple)


@given(positions)
def test_a_cursor_is_parsed_to_its_positions(found: tuple[Position, ...]) -> None:
    cursor = cursor_of(found)
    assert len(cursor) <= MAX_CURSOR
    assert parse_cursor(cursor) == found


@given(positions, st.data())
def test_a_part_of_a_cursor_is_refused(found: tuple[Position, ...], data: st.DataObject) -> None:
    cursor = cursor_of(found)
    with pytest.raises(CommandError, match='"since" must be'):
        parse_cursor(cursor[: data.draw(st.integers(0, len(cursor) - 1))])


@given(st.text())
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match='"since" must be'):
        parse_cursor(text)


ONLINE = FeedEvent("user_online", user_id="ada")
JOINED = FeedEvent("member_joined", group="a", user_id="ada")
OPENED = FeedEvent("group_opened", group="a")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), [ONLINE, JOINED, OPENED]),
        (Wanted(groups=False), [ONLINE, JOINED]),
        (Wanted(users=False), [OPENED]),
        (Wanted(matches=lambda group: group == "a"), [JOINED, OPENED]),
        (Wanted(matches=lambda group: group == "b"), []),
        (Wanted(visible=lambda group: group == "b"), [ONLINE]),
    ],
)
def test_which_events_are_wanted(wanted: Wanted, expected: list[FeedEvent]) -> None:
    assert [event for event in (ONLINE, JOINED, OPENED) if wanted(event)] == expected
