"""Listing queries: checks a `Groups` command and turns it into intervals of an order. Pure.

Groups have two orders, each with its own kind of key: the name, or the pair of number of users and name. Every
condition, range and cursor is an interval of such an order, so a query is a few half-open intervals of keys. Names are
compared by code point, as Python compares strings, and as UTF-8 compares byte by byte.
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from hubbub.errors import invalid
from hubbub.messages import Groups, Order

DEFAULT_LIMIT = 50
"""Rows of a page if the client sets no limit."""

SizeKey: TypeAlias = tuple[int, str]
Key = TypeVar("Key", str, SizeKey)

_SIGNS = {"eq": "=", "ne": "!=", "gt": ">", "lt": "<", "gte": ">=", "lte": "<="}


class Interval(NamedTuple, Generic[Key]):
    """The keys with ``low <= key < high``; None means no bound. Empty unless low is below high."""

    low: Key | None
    high: Key | None


class Query(msgspec.Struct, frozen=True):
    """A checked listing of groups, made by `parse_query`.

    Attributes:
        order: The order of the rows, and with it the kind of key: the name for ``"group"``, ``(users, name)`` for
            ``"number_of_users"``.
        intervals: What is left to list after the cursor: disjoint, in ascending order; some may be empty.
        limit: Most rows of the page.
        ascending: The direction of the listing.
    """

    order: Order
    intervals: tuple[Interval[str], ...] | tuple[Interval[SizeKey], ...]
    limit: int
    ascending: bool


class _NameCursor(msgspec.Struct, forbid_unknown_fields=True):
    group: str


class _SizeCursor(msgspec.Struct, forbid_unknown_fields=True):
    number_of_users: int
    group: str


_Cursor = TypeVar("_Cursor", _NameCursor, _SizeCursor)


def parse_query(command: Groups, max_page: int) -> Query:
    """Check a `Groups` command.

    Args:
        command: The decoded command: the types of its fields are checked, nothing else.
        max_page: Most rows that a page may have.

    Raises:
        CommandError: ``INVALID_PARAMETER``; the text names the field and what it must be.
    """
    limit = min(DEFAULT_LIMIT, max_page) if command.limit is None else command.limit
    if not 1 <= limit <= max_page:
        raise invalid(f'"limit" must be 1 to {max_page}.')
    if command.value is None and command.condition is not None:
        raise invalid('"condition" needs a "value" to compare with.')
    if command.value is None and command.range is not None:
        raise invalid('"range" is the end of a range and needs a "value", its beginning.')
    if command.range is not None and command.condition is not None:
        raise invalid('"range" and "condition" cannot be used together: send one of them.')

    intervals: tuple[Interval[str], ...] | tuple[Interval[SizeKey], ...]
    if command.search_for == "group":
        intervals = _cut(_name_intervals(command), _names_left(command))
    else:
        intervals = _cut(_size_intervals(command), _sizes_left(command))
    if command.start_key == "end":
        intervals = ()
    return Query(command.search_for, intervals, limit, command.ascending)


def _name_intervals(command: Groups) -> tuple[Interval[str], ...]:
    value, last = _text("value", command.value), _text("range", command.range)
    if value is None:
        return (Interval(None, None),)
    if last is not None:
        return (Interval(value, _past_name(last)),)
    condition = _sign(command)
    if condition == ">=":  # the spec page: "search group names that start with"
        return (Interval(value, _past_prefix(value)),)
    return _compare(condition, value, _past_name(value))


def _size_intervals(command: Groups) -> tuple[Interval[SizeKey], ...]:
    value, last = _number("value", command.value), _number("range", command.range)
    if value is None:
        return (Interval(None, None),)
    if last is not None:
        return (Interval(_at_size(value), _past_size(last)),)
    return _compare(_sign(command), _at_size(value), _past_size(value))


def _compare(condition: str, at: Key, past: Key) -> tuple[Interval[Key], ...]:
    """Return the keys that fulfil `condition`; `at` is the first key not below the value, `past` the first above."""
    return {
        "=": (Interval(at, past),),
        "!=": (Interval(None, at), Interval(past, None)),
        ">": (Interval(past, None),),
        ">=": (Interval(at, None),),
        "<": (Interval(None, at),),
        "<=": (Interval(None, past),),
    }[condition]


def _sign(command: Groups) -> str:
    condition = command.condition or "="
    return _SIGNS.get(condition, condition)


def _text(field: str, value: str | float | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise invalid(f'"{field}" must be a string when "searchFor" is "group".')


def _number(field: str, value: str | float | None) -> int | float | None:
    # An integer is always finite, and math.isfinite raises on one of 400 digits.
    if isinstance(value, str) or (isinstance(value, float) and not math.isfinite(value)):
        raise invalid(f'"{field}" must be a finite number when "searchFor" is "number_of_users".')
    return value


# --- keys in the two orders: the first one at or past something -------------------------------------------------------


def _past_name(name: str) -> str:
    return name + "\0"  # no string is between the name and this one


def _past_prefix(prefix: str) -> str | None:
    """Return the first name above all that start with `prefix`, or None if no name is above them."""
    stem = prefix.rstrip("\U0010ffff")  # there is no code point after the last one
    if not stem:
        return None
    last = ord(stem[-1])
    # Surrogates are not characters: skipping them keeps the bound encodable as UTF-8 for every backend.
    return stem[:-1] + ("\ue000" if last == 0xD7FF else chr(last + 1))


def _at_size(number: float) -> SizeKey:
    return (math.ceil(number), "")


def _past_size(number: float) -> SizeKey:
    return (math.floor(number) + 1, "")


# --- cursors ----------------------------------------------------------------------------------------------------------


def _names_left(command: Groups) -> Interval[str]:
    """Return the part of the order by name that follows the cursor, in the direction of the listing."""
    cursor = _cursor(command.start_key, _NameCursor)
    if cursor is None:
        return Interval(None, None)
    return Interval(_past_name(cursor.group), None) if command.ascending else Interval(None, cursor.group)


def _sizes_left(command: Groups) -> Interval[SizeKey]:
    """Return the part of the order by size that follows the cursor, in the direction of the listing."""
    cursor = _cursor(command.start_key, _SizeCursor)
    if cursor is None:
        return Interval(None, None)
    users, group = cursor.number_of_users, cursor.group
    return Interval((users, _past_name(group)), None) if command.ascending else Interval(None, (users, group))


def _cursor(start_key: Any, kind: type[_Cursor]) -> _Cursor | None:
    """Return the cursor as a struct; None if it is absent, ``"start"`` or ``"end"``."""
    if start_key is None or start_key in ("start", "end"):
        return None
    try:
        return msgspec.convert(start_key, kind)
    except msgspec.ValidationError:
        raise invalid(
            '"startKey" must be the "startKey" of the previous page, in the same order: an object with '
            f'{" and ".join(kind.__struct_fields__)}, "start" or "end".'
        ) from None


def _cut(intervals: tuple[Interval[Key], ...], left: Interval[Key]) -> tuple[Interval[Key], ...]:
    """Return the parts of `intervals` inside `left`."""
    return tuple(Interval(_higher(low, left.low), _lower(high, left.high)) for low, high in intervals)


def _higher(one: Key | None, other: Key | None) -> Key | None:
    return other if one is None else one if other is None else max(one, other)


def _lower(one: Key | None, other: Key | None) -> Key | None:
    return other if one is None else one if other is None else min(one, other)
