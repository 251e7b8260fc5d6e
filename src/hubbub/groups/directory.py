"""The groups, ordered by name and by number of users, and pages of both orders. Pure: no I/O, no clock of its own.

A cursor is a position in an order, not a row or an index. So a page costs O(log n + limit) wherever it begins, and
joins and leaves between two pages cannot make another group appear twice or be skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec
from sortedcontainers import SortedList

from hubbub.groups.query import Query, SizeKey, parse_query
from hubbub.messages import GroupRow, Page

__all__ = ["MOST_HIDDEN", "Directory", "Query", "listing_page", "parse_query"]

MOST_HIDDEN = 1000
"""Most groups hidden from the reader that one page passes over before it ends early."""

MOST_TIME = 0.003
"""Seconds that a page may spend on checking which groups its reader may see, before it ends early."""

LOOK = 4
"""How many groups are checked between two looks at the clock."""


# Each order is a sorted list of entries that compare in this order and hold the rest of the row as well. So a page
# reads one object per row. Looking up the rows by name would read four, and with a million groups none of them is in
# the processor's cache. Entries hold no containers: gc=False makes them smaller, and full collections faster.


class _NameEntry(msgspec.Struct, order=True, gc=False):
    group: str
    number_of_users: int = 0
    number_of_connections: int = 0


class _SizeEntry(msgspec.Struct, order=True, gc=False):
    number_of_users: int
    group: str
    number_of_connections: int = 0


_Entry: TypeAlias = _NameEntry | _SizeEntry
Entry: TypeAlias = _Entry | GroupRow
"""An object with the three fields of a row."""
_group = attrgetter("group")


class Directory:
    """All groups, with their numbers of users and connections."""

    __slots__ = ("_entries", "_names", "_sizes")

    def __init__(self) -> None:
        self._entries: dict[str, tuple[_NameEntry, _SizeEntry]] = {}
        self._names: SortedList = SortedList()
        self._sizes: SortedList = SortedList()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, group: str) -> bool:
        return group in self._entries

    def get(self, group: str) -> GroupRow | None:
        """Return the row of `group`, or None if there is no such group."""
        entries = self._entries.get(group)
        return None if entries is None else _rows(entries[:1])[0]

    def put(self, group: str, users: int, connections: int) -> None:
        """Create or change a group with `users` distinct users, at least 1, on `connections` connections. O(log n)."""
        entries = self._entries.get(group)
        if entries is None:
            by_name = _NameEntry(group, users, connections)
            by_size = _SizeEntry(users, group, connections)
            self._entries[group] = by_name, by_size
            self._names.add(by_name)
            self._sizes.add(by_size)
            return
        by_name, by_size = entries
        if by_size.number_of_users != users:
            self._sizes.remove(by_size)  # before it changes, or it would not be found in the order
            by_name.number_of_users = by_size.number_of_users = users
            self._sizes.add(by_size)
        by_name.number_of_connections = by_size.number_of_connections = connections

    def remove(self, group: str) -> None:
        """Remove a group. O(log n).

        Raises:
            KeyError: There is no such group.
        """
        by_name, by_size = self._entries.pop(group)
        self._names.remove(by_name)
        self._sizes.remove(by_size)

    def page(
        self,
        query: Query,
        visible: Callable[[str], bool] | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> Page:
        """Return the next page of a listing, with a cursor that continues after its last row.

        Args:
            query: What `parse_query` returned.
            visible: Returns whether the reader may see the group of this name; None if all are visible. A page passes
                over at most `MOST_HIDDEN` hidden groups, and spends about `MOST_TIME` on checking. After that it ends
                early: shorter than its limit, perhaps empty, but with a cursor and without ``endOfList``, so that
                following the cursors still lists everything. That cursor may name a hidden group, so it must be
                sealed before the reader gets it (`hubbub.groups.cursors`).
            clock: The CPU time of this thread in seconds, for `MOST_TIME`.
        """
        return listing_page(query, self._walk(query), visible, clock)

    def count(self, query: Query) -> int:
        """Return how many groups match a query, on all of its pages if it has no cursor. O(log n).

        The first call after a long time takes a tenth of a millisecond for a million groups: see `_walk`.
        """
        entries = self._names if query.order == "group" else self._sizes
        total = 0
        for low, high in query.intervals:
            first = 0 if low is None else entries.bisect_left(_bound(low))
            behind = len(entries) if high is None else entries.bisect_left(_bound(high))
            total += max(0, behind - first)
        return total

    def _walk(self, query: Query) -> Iterator[_Entry]:
        """Return the entries of `query` in its direction."""
        entries = self._names if query.order == "group" else self._sizes
        # irange bisects. Indexing a SortedList, as `count` does, builds an index of positions. Until the list drops it
        # by itself, when one of its parts becomes too long, every change has to update the index.
        return chain.from_iterable(
            entries.irange(_bound(low), _bound(high), (True, False), reverse=not query.ascending)
            for low, high in (query.intervals if query.ascending else reversed(query.intervals))
        )


def listing_page(
    query: Query,
    walk: Iterator[Entry],
    visible: Callable[[str], bool] | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Page:
    """Return the page of `query` that begins where `walk` does, in its order and direction.

    At most ``query.limit + 1`` entries are taken; with `visible`, `MOST_HIDDEN` more, within `MOST_TIME` on `clock`
    (seconds). See `Directory.page`.
    """
    if visible is not None:
        return _visible_page(query, walk, visible, clock)
    entries = list(islice(walk, query.limit + 1))  # one more than the page takes, to know whether there are more
    shown = entries[: query.limit]
    return _page(query, shown, shown[-1] if len(entries) > query.limit else None)


def _bound(key: str | SizeKey | None) -> _Entry | None:
    """Return the lowest entry with this key."""
    if key is None:
        return None
    return _NameEntry(key) if isinstance(key, str) else _SizeEntry(*key)


def _visible_page(
    query: Query, walk: Iterable[Entry], visible: Callable[[str], bool], clock: Callable[[], float]
) -> Page:
    shown: list[Entry] = []
    hidden = 0
    until = clock() + MOST_TIME
    for number, entry in enumerate(walk, 1):
        if not visible(entry.group):
            hidden += 1
            if hidden == MOST_HIDDEN:
                return _page(query, shown, entry)
        elif len(shown) == query.limit:
            return _page(query, shown, shown[-1])
        else:
            shown.append(entry)
        if number % LOOK == 0 and clock() >= until:
            return _page(query, shown, entry)
    return _page(query, shown)


def _page(query: Query, entries: list[Entry], last: Entry | None = None) -> Page:
    """Return a page of `entries` with a cursor after `last`; without `last` the listing ends."""
    rows = _rows(entries)
    if last is None:
        return Page(rows, "end", True)
    return Page(rows, _cursor(query, last.number_of_users, last.group), False)


def _rows(entries: Sequence[Entry]) -> list[GroupRow]:
    # All names first: in one tight loop the processor loads many of them from memory at the same time.
    groups = list(map(_group, entries))
    return [
        GroupRow(group, entry.number_of_users, entry.number_of_connections)
        for group, entry in zip(groups, entries, strict=True)
    ]


def _cursor(query: Query, users: int, group: str) -> dict[str, Any]:
    return {"group": group} if query.order == "group" else {"number_of_users": users, "group": group}
