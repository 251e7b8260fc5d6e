"""What has changed between two states of a page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from hubbub.messages import GroupRow, UserRow

Row = TypeVar("Row", GroupRow, UserRow)


class Difference(NamedTuple):
    """New and changed rows, in the order of the page, and the names of rows that are not on it any more."""

    set: list[GroupRow] | list[UserRow]
    gone: list[str]


def difference(
    before: Sequence[GroupRow] | Sequence[UserRow], after: Sequence[GroupRow] | Sequence[UserRow]
) -> Difference:
    """Return how `before` becomes `after`; rows are told apart by group or by connection."""
    if before == after:
        return Difference([], [])
    if isinstance((before or after)[0], GroupRow):
        return _difference(before, after, "group")  # type: ignore[type-var]
    return _difference(before, after, "connection_id")  # type: ignore[type-var]


def _difference(before: Sequence[Row], after: Sequence[Row], name: str) -> Difference:
    old = {getattr(row, name): row for row in before}
    changed = [row for row in after if old.pop(getattr(row, name), None) != row]
    return Difference(changed, list(old))
