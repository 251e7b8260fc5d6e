"""The groups, in order by name and by number of users, and pages of both. Pure: no I/O, no clock.

Each order is one sorted list of keys: the names, and the pairs of number of users and name. A cursor is a place in an
order, not a row or an index, so a page costs O(log n + limit) wherever it begins, and what joins and leaves between
two pages cannot make another group appear twice or be skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os.path import commonprefix
from typing import Any

from sortedcontainers import SortedList

from hubbub.messages import GroupRow, Order, Page
from hubbub.query import Query, parse_query

__all__ = ["MOST_HIDDEN", "Directory", "Query", "parse_query"]

MOST_HIDDEN = 2000
"""How many groups that its reader may not see one page passes over before it ends early."""


class Directory:
    """Which groups there are, with how many users and connections."""

    __slots__ = ("_names", "_rows", "_sizes")

    def __init__(self) -> None:
        self._rows: dict[str, GroupRow] = {}
        self._names: SortedList = SortedList()
        self._sizes: SortedList = SortedList()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, group: str) -> bool:
        return group in self._rows

    def get(self, group: str) -> GroupRow | None:
        """Return the row of `group`, or None if there is no such group."""
        return self._rows.get(group)

    def put(self, group: str, users: int, connections: int) -> None:
        """Create or change a group with `users` distinct users, at least 1, on `connections` connections. O(log n)."""
        old = self._rows.get(group)
        if old is None:
            self._names.add(group)
            self._sizes.add((users, group))
        else:
            group = old.group  # of two equal strings, keep the one that the indexes hold
            if old.number_of_users != users:
                self._sizes.remove((old.number_of_users, group))
                self._sizes.add((users, group))
        self._rows[group] = GroupRow(group, users, connections)

    def remove(self, group: str) -> None:
        """Take out a group. O(log n).

        Raises:
            KeyError: There is no such group.
        """
        row = self._rows.pop(group)
        self._names.remove(group)
        self._sizes.remove((row.number_of_users, group))

    def page(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Return the next page of a listing, and the cursor that continues it behind the page's last row.

        Args:
            query: What `parse_query` returned.
            visible: Whether the reader may see the group of this name; None for all. A page passes over at most
                `MOST_HIDDEN` groups that are not visible. After that it ends as it is: shorter than its limit,
                perhaps empty, but with a cursor and without ``endOfList``, so that following the cursors still lists
                everything.
        """
        shown: list[GroupRow] = []
        hidden: list[GroupRow] = []
        for row in self._walk(query):
            if visible is None or visible(row.group):
                if len(shown) == query.limit:  # one more than the page takes, so this is not the end
                    return Page(shown, _cursor(query.order, shown[-1]), False)
                shown.append(row)
            else:
                hidden.append(row)
                if len(hidden) == MOST_HIDDEN:
                    cursor = _cursor(query.order, shown[-1]) if shown else _cursor_within(query.order, hidden)
                    return Page(shown, cursor, False)
        return Page(shown, "end", True)

    def _walk(self, query: Query) -> Iterator[GroupRow]:
        """Yield the rows of `query` in its direction."""
        by_name = query.order == "group"
        keys = self._names if by_name else self._sizes
        # irange bisects; indexing a SortedList would build an index of positions that every change has to keep up.
        for low, high in query.intervals if query.ascending else reversed(query.intervals):
            for key in keys.irange(low, high, (True, False), reverse=not query.ascending):
                yield self._rows[key if by_name else key[1]]


def _cursor(order: Order, row: GroupRow) -> dict[str, Any]:
    if order == "group":
        return {"group": row.group}
    return {"number_of_users": row.number_of_users, "group": row.group}


def _cursor_within(order: Order, hidden: list[GroupRow]) -> dict[str, Any]:
    """Return a cursor inside the second half of `hidden`, a run of neighbours, that gives none of their names away.

    A cursor is a place and needs no group there. This one is the shortest string between the run's middle and its
    end: but for its last character it is what all the names from there on have in common. The next page passes over
    the rest of the run again, and is still half a run further on.
    """
    middle, last = hidden[len(hidden) // 2], hidden[-1]
    if order == "group":
        return {"group": _between(middle.group, last.group)}
    if middle.number_of_users == last.number_of_users:
        return {"number_of_users": last.number_of_users, "group": _between(middle.group, last.group)}
    return {"number_of_users": max(middle.number_of_users, last.number_of_users), "group": ""}


def _between(one: str, other: str) -> str:
    """Return the shortest string above the lower of two different names and not above the higher."""
    return max(one, other)[: len(commonprefix([one, other])) + 1]  # noqa: RUF071 - by character is what is meant
