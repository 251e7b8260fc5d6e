"""What the scripts write into the feed, parsed."""

from __future__ import annotations

import pytest

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.feed_entries import parse_entry, parse_members
from hubbub.groups.feed import FeedEvent
from hubbub.messages import UserRow

ROW = schema.row(UserRow("ada", "1"))


def entry(changes: bytes, row: bytes = ROW) -> bytes:
    return b"1700000000123 %d %b%b" % (len(row), row, changes)


def test_a_move_is_four_events_with_four_numbers() -> None:
    found = parse_entry(entry(b"Xl0 1 gOj1 2 h "), 3, "e")
    assert found == [
        FeedEvent("member_left", "g", "ada", "1", 9, "e", 1_700_000_000.123, "left", 0),
        FeedEvent("group_emptied", "g", None, None, 10, "e", 1_700_000_000.123, "left", 0),
        FeedEvent("group_opened", "h ", None, None, 11, "e", 1_700_000_000.123, "joined", 1),
        FeedEvent("member_joined", "h ", "ada", "1", 12, "e", 1_700_000_000.123, "joined", 1),
    ]


@pytest.mark.parametrize(
    ("changes", "type_", "why"),
    [
        (b"Nc0 0 ", "user_online", "connected"),
        (b"Fd0 0 ", "user_offline", "disconnected"),
        (b"Fn0 0 ", "user_offline", "node_lost"),
        (b"Fb0 0 ", "user_offline", "not_back"),
    ],
)
def test_events_of_users_have_no_group(changes: bytes, type_: str, why: str) -> None:
    (event,) = parse_entry(entry(changes), 1, "e")
    assert (event.type, event.why, event.group, event.number_of_users, event.user_id) == (type_, why, None, None, "ada")


def test_a_return_is_for_snapshots_only() -> None:
    (event,) = parse_entry(entry(b"jj7 1 g"), 1, "e")
    assert (event.type, event.snapshot) == ("member_joined", True)


def test_the_first_entry_has_no_events() -> None:
    assert parse_entry(b"1700000000123 0 ", 1, "e") == []


def test_names_of_any_bytes() -> None:
    row, group = UserRow("a\0 5 Xl", "1"), "\0 2 ü"
    name = schema.encode(group)
    (event,) = parse_entry(entry(b"Jj12 %d %b" % (len(name), name), schema.row(row)), 1, "e")
    assert (event.group, event.user_id, event.number_of_users) == (group, row.user_id, 12)


def test_members_for_a_snapshot() -> None:
    found = list(parse_members([[b"g", 2, [ROW, schema.row(UserRow("bob", "2"))]], [b"h", 1, []]]))
    assert found == [
        FeedEvent("group_opened", "g", number_of_users=2, snapshot=True),
        FeedEvent("member_joined", "g", "ada", number_of_users=2, snapshot=True),
        FeedEvent("member_joined", "g", "bob", number_of_users=2, snapshot=True),
    ]
