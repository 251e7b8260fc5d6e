"""The feed: events that say who came, who left, and which groups began and ended; and cursors into it. Pure.

About users, not connections
----------------------------
A user is *present* in a group while it has a connection there, or while one that a restart has sent away is expected
back (see `hubbub.groups.absences`). ``member_joined`` and ``member_left`` are the changes of that; so neither a second
tab nor a restart within the grace period is an event. In the same way a user is online, and a group is open while a
user is present in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from hubbub.errors import invalid
from hubbub.messages import Position

EventType = Literal[
    "user_online",
    "user_offline",
    "member_joined",
    "member_left",
    "group_opened",
    "group_emptied",
    "position",
    "gap",
    "snapshot_begin",
    "snapshot_end",
]

Why = Literal["connected", "joined", "left", "disconnected", "node_lost", "not_back"]
"""Why something has changed. ``disconnected``: the connection has ended. ``node_lost``: so has its node. ``not_back``:
the user did not come back within the grace period after a restart."""

START = "start"
"""The value of ``since`` that asks for a snapshot of everything, and then for what follows."""

MAX_CURSOR = 1024
"""Most characters of a cursor; the longest that this module makes has less than half."""

Positions: TypeAlias = tuple[Position, ...]
"""The position of a reader in each shard, in the order of the shards."""


class FeedWindow(NamedTuple):
    """How much of the feed is kept, in each shard, for readers that come back."""

    events: int = 100_000
    """Most events."""
    bytes: int = 33_554_432
    """Most bytes of them, with their names."""
    age: float = 300.0
    """Seconds after the last reading for which events are written, and seconds for which they are kept."""


class FeedEvent(msgspec.Struct, omit_defaults=True, gc=False):
    """One event. Fields that do not apply are None, and absent in JSON.

    Attributes:
        type: What has happened; or ``position``, ``gap``, ``snapshot_begin`` and ``snapshot_end``, which are about the
            feed itself.
        group: The group, of ``member_*`` and ``group_*``.
        user_id: The user, of ``user_*`` and ``member_*``.
        connection_id: The connection that has caused it; absent in snapshots.
        seq: The number of the event in its shard of the feed, which increases by one.
        epoch: Changes when the numbering starts again. `epoch` and `seq` together are unique.
        at: When it was written: Unix time, in seconds.
        why: Why, see `Why`.
        number_of_users: How many users the group has after it, as listings say: without those who are expected back.
        snapshot: Whether the event describes what is there instead of what has happened.
        cursor: Where to go on after this event: the next request's ``since``.
    """

    type: EventType
    group: str | None = None
    user_id: str | None = None
    connection_id: str | None = None
    seq: int | None = None
    epoch: str | None = None
    at: float | None = None
    why: Why | None = None
    number_of_users: int | None = None
    snapshot: bool = False
    cursor: str | None = None


class FeedRead(NamedTuple):
    """What a reader gets: events with the number of their shard, in the order of each shard.

    With `gap`, events are missing before `positions`, and there are none in `events`.
    """

    events: list[tuple[int, FeedEvent]]
    positions: Positions
    gap: bool


class Wanted(NamedTuple):
    """Which events a reader wants.

    Attributes:
        users: ``user_*`` and ``member_*``.
        groups: ``group_*``.
        matches: Says of a group's name whether its events are wanted; then ``user_*``, which have no group, are not.
            None for all.
        visible: Says whether the reader may see a group; None for all.
    """

    users: bool = True
    groups: bool = True
    matches: Callable[[str], bool] | None = None
    visible: Callable[[str], bool] | None = None

    def __call__(self, event: FeedEvent) -> bool:
        """Return whether the reader gets this event."""
        if event.group is None:
            return self.users and self.matches is None
        if not (self.groups if event.user_id is None else self.users):
            return False
        if self.matches is not None and not self.matches(event.group):
            return False
        return self.visible is None or self.visible(event.group)


# --- cursors ----------------------------------------------------------------------------------------------------------

_PART = re.compile(r"([A-Za-z0-9_-]{1,32})\.(\d{1,15})", re.ASCII)


def cursor_of(positions: Positions) -> str:
    """Return a cursor, of characters that need no escape in a URL, with a checksum: one that is cut off is refused."""
    return sealed([part_of(position) for position in positions])


def part_of(position: Position) -> str:
    """Return what a cursor has of one shard."""
    return f"{position.epoch}.{position.seq}"


def sealed(parts: list[str]) -> str:
    """Return the cursor of what `part_of` has returned for each shard."""
    text = "~".join(parts)
    return f"{text}~{crc32(text.encode()):08x}"


def parse_cursor(cursor: str) -> Positions:
    """Return the positions of a cursor.

    Raises:
        CommandError: ``INVALID_PARAMETER``, naming ``since``: it is no cursor, or not all of one.
    """
    text, _, checksum = cursor.rpartition("~")
    if len(cursor) <= MAX_CURSOR and cursor.isascii() and checksum == f"{crc32(text.encode()):08x}":
        found = [_PART.fullmatch(part) for part in text.split("~")]
        if all(found):
            return tuple(Position(part[1], int(part[2])) for part in found if part)
    raise invalid('"since" must be the "cursor" of an event, whole and unchanged, or "start" to begin with a snapshot.')
