"""What ``feed.lua`` writes into the feed, as events. Pure.

An entry is four fields, each with a space behind it (epoch, number, bytes so far, milliseconds), and then: a letter for the
type, a letter for why, the group's number of users, a space, the length of the group's name in bytes, a space, the name,
and the row of the connection (see `schema`).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from hubbub.backends.valkey import schema
from hubbub.groups.feed import EventType, FeedEvent, Why

_TYPES: dict[bytes, EventType] = {
    b"N": "user_online",
    b"F": "user_offline",
    b"J": "member_joined",
    b"L": "member_left",
    b"O": "group_opened",
    b"E": "group_emptied",
}

_RETURNED: dict[bytes, EventType] = {b"n": "user_online", b"j": "member_joined"}
"""Somebody who was expected back has returned. That changes nothing, but a snapshot may have missed the user meanwhile."""

_WHY: dict[bytes, Why] = {
    b"c": "connected",
    b"j": "joined",
    b"l": "left",
    b"d": "disconnected",
    b"n": "node_lost",
    b"b": "not_back",
}


def parse_entry(entry: bytes) -> FeedEvent | None:
    """Return the event; None if the entry is none, such as the first one of a feed.

    An event with ``snapshot`` says that a user has returned who was expected back: it is for snapshots only.
    """
    epoch, seq, _, milliseconds, body = entry.split(b" ", 4)
    if not body:
        return None
    users, length, names = body[2:].split(b" ", 2)
    letter, size = body[:1], int(length)
    type_ = _TYPES.get(letter) or _RETURNED[letter]
    about_group, about_user = size > 0, letter not in b"OE"
    user = schema.parse_row(names[size:])
    return FeedEvent(
        type_,
        group=schema.decode(names[:size]) if about_group else UNSET,
        user_id=user.user_id if about_user else UNSET,
        connection_id=user.connection_id if about_user else UNSET,
        seq=int(seq),
        epoch=epoch.decode(),
        at=int(milliseconds) / 1000,
        why=_WHY[body[1:2]],
        number_of_users=int(users) if about_group else UNSET,
        snapshot=letter in _RETURNED,
    )


def parse_members(found: list[list[object]]) -> Iterator[FeedEvent]:
    """Return what ``feed_members.lua`` has found, as events of a snapshot."""
    for group, users, rows in found:
        assert isinstance(group, bytes)
        assert isinstance(users, int)
        assert isinstance(rows, list)
        yield from present(schema.decode(group), users, [schema.parse_row(row).user_id for row in rows])


def present(group: str, users: int, user_ids: list[str]) -> Iterator[FeedEvent]:
    """Return the events of a snapshot for a group with these users."""
    if user_ids:
        yield FeedEvent("group_opened", group, number_of_users=users, snapshot=True)
    for user_id in user_ids:
        yield FeedEvent("member_joined", group, user_id, number_of_users=users, snapshot=True)
