"""What ``feed.lua`` writes into the feed, as events. Pure.

An entry is the time in milliseconds, the length of the row in bytes, each with a space behind it, the row, and
one or two changes of its user: a letter for the type, a letter for why, the group's number of users, a space, the
length of the group's name, a space, and the name.
"""

from __future__ import annotations

from collections.abc import Iterator

from hubbub.backends.valkey import schema
from hubbub.groups.feed import EventType, FeedEvent, Why

MOST = 4
"""Most events of one entry. The events of entry 1 have the numbers 1 to 4, those of entry 2 begin with 5."""

_TYPES: dict[bytes, tuple[EventType, ...]] = {
    b"N": ("user_online",),
    b"F": ("user_offline",),
    b"J": ("member_joined",),
    b"O": ("group_opened", "member_joined"),
    b"L": ("member_left",),
    b"X": ("member_left", "group_emptied"),
    b"n": ("user_online",),
    b"j": ("member_joined",),
}

_RETURNED = b"nj"
"""A user who was expected back has returned. That changes nothing, but a snapshot may have missed the user."""

_WHY: dict[bytes, Why] = {
    b"c": "connected",
    b"j": "joined",
    b"l": "left",
    b"d": "disconnected",
    b"n": "node_lost",
    b"b": "not_back",
}


def parse_entry(entry: bytes, number: int, epoch: str) -> list[FeedEvent]:
    """Return the events of the entry with this number; none for the first one of a feed.

    An event with ``snapshot`` says that a user has returned who was expected back: it is for snapshots only.
    """
    milliseconds, size, rest = entry.split(b" ", 2)
    at, length = int(milliseconds) / 1000, int(size)
    user, changes = schema.parse_row(rest[:length]), rest[length:]
    seq, found = MOST * (number - 1), list[FeedEvent]()
    while changes:
        letter, why = changes[:1], _WHY[changes[1:2]]
        users, size, changes = changes[2:].split(b" ", 2)
        name, changes = changes[: int(size)], changes[int(size) :]
        for type_ in _TYPES[letter]:
            seq += 1
            event = FeedEvent(type_, seq=seq, epoch=epoch, at=at, why=why, snapshot=letter in _RETURNED)
            if name:
                event.group, event.number_of_users = schema.decode(name), int(users)
            if not type_.startswith("group_"):
                event.user_id, event.connection_id = user.user_id, user.connection_id
            found.append(event)
    return found


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
