"""Turns a checked listing query into ranges of sorted sets, and the replies into rows."""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.groups.query import Query, SizeKey
from hubbub.groups.roster import UserQuery
from hubbub.messages import GroupRow, UserRow


def group_ranges(query: Query) -> list[bytes]:
    """Return the bounds of the intervals of `query` for ``page.lua``, in the direction of the listing."""
    bounds: list[bytes] = []
    for low, high in query.intervals if query.ascending else reversed(query.intervals):
        pair = [_bound(b"[", low, b"-"), _bound(b"(", high, b"+")]
        bounds += pair if query.ascending else pair[::-1]
    return bounds


def count_ranges(query: Query) -> list[bytes]:
    """Return the bounds of the intervals of `query`, in ascending order, whatever the direction of the listing."""
    return [part for low, high in query.intervals for part in (_bound(b"[", low, b"-"), _bound(b"(", high, b"+"))]


def group_rows(flat: list[bytes | int]) -> list[GroupRow]:
    """Return the rows in a reply of ``page.lua``."""
    return [
        GroupRow(schema.decode(group), users, connections)  # type: ignore[arg-type]
        for group, users, connections in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    ]


def user_range(query: UserQuery) -> list[bytes]:
    """Return the bounds of `query` among the rows of a group, in the direction of the listing."""
    low, high = user_span(query.user_id)
    if query.after is not None:
        after = schema.row(query.after)
        inside = query.user_id is None or query.user_id == query.after.user_id
        if query.ascending and (inside or after > low[1:]):
            low = b"(" + after
        elif not query.ascending and (inside or after < high[1:]):
            high = b"(" + after
    return [low, high] if query.ascending else [high, low]


def user_span(user_id: str | None) -> tuple[bytes, bytes]:
    """Return the bounds of the rows of one user, or of all, in ascending order."""
    if user_id is None:
        return b"-", b"+"
    return b"[" + schema.user_part(user_id), b"(" + schema.past_user(user_id)


def user_rows(found: list[bytes]) -> list[UserRow]:
    """Return the connections in a reply with rows of a group."""
    return [schema.parse_row(row) for row in found]


def _bound(sign: bytes, key: str | SizeKey | None, otherwise: bytes) -> bytes:
    if key is None:
        return otherwise
    return sign + (schema.encode(key) if isinstance(key, str) else schema.size_key(*key))
