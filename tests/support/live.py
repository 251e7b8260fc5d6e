"""Live queries: what a client knows of one, from replies and events alone, and what it must be, found the slow way."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

Row = dict[str, Any]
Members = dict[str, set[tuple[str, str]]]
"""Of each group: (user, connection)."""

GROUPS = [f"{kind}-{number}" for kind in ("a", "b", "\U0001f600") for number in range(5)]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


class Mirror:
    """What a client knows of one watch."""

    def __init__(self, query: dict[str, Any], reply: dict[str, Any]) -> None:
        self.query = query
        self.watch: int = reply["watch"]
        self.count: int | None = reply["count"]
        self._name = "connection_id" if query["what"] == "users" else "group"
        self._rows: dict[str, Row] = {}
        self.replace(reply["list"])
        assert list(self._rows.values()) == self.list, "the order of the page is not in its rows"

    def replace(self, rows: list[Row]) -> None:
        """Take a whole list over."""
        self._rows = {row[self._name]: row for row in rows}

    def apply(self, event: dict[str, Any]) -> None:
        """Take an event over; one that changes nothing is an error."""
        assert event["type"] == self.query["what"]
        assert event["watch"] == self.watch
        before = self.list, self.count
        self.count = event["count"]
        if "list" in event:
            assert "set" not in event
            assert "gone" not in event
            self.replace(event["list"])
            return
        for name in event["gone"]:
            del self._rows[name]
        self._rows.update((row[self._name], row) for row in event["set"])
        assert before != (self.list, self.count)

    @property
    def list(self) -> list[Row]:
        """The rows in the order of the query."""
        return _sorted(self.query, self._rows.values())


def _sorted(query: dict[str, Any], rows: Iterable[Row]) -> list[Row]:
    if query["what"] == "users":
        fields = ["user_id", "connection_id"]
    elif query.get("searchFor") == "number_of_users":
        fields = ["number_of_users", "group"]
    else:
        fields = ["group"]
    return sorted(rows, key=operator.itemgetter(*fields), reverse=not query.get("ascending", True))


def expected(query: dict[str, Any], members: Members, rights: list[str] | None = None) -> tuple[list[Row], int | None]:
    """Return what a watch must show: the page and the count."""
    limit = query.get("limit", 50)
    if query["what"] == "users":
        found = [
            {"user_id": user, "connection_id": connection}
            for user, connection in members.get(query["group"], ())
            if query.get("user_id") in (None, user)
        ]
        return _sorted(query, found)[:limit], len(found)
    if "groups" in query:
        return _sorted(query, [_group(name, members) for name in query["groups"]]), len(query["groups"])
    rows = [_group(name, members) for name, rows in members.items() if rows]
    rows = [row for row in rows if _matches(query, row)]
    if rights is not None:
        rows = [row for row in rows if any(fnmatchcase(row["group"], glob) for glob in rights)]
    return _sorted(query, rows)[:limit], None if rights is not None else len(rows)


def _group(name: str, members: Members) -> Row:
    rows = members.get(name, set())
    return {"group": name, "number_of_users": len({user for user, _ in rows}), "number_of_connections": len(rows)}


def _matches(query: dict[str, Any], row: Row) -> bool:
    value = query.get("value")
    if value is None:
        return True
    field = query.get("searchFor", "group")
    if "range" in query:
        return bool(value <= row[field] <= query["range"])
    condition = query.get("condition", "=")
    if field == "group" and condition == ">=":
        return bool(row["group"].startswith(value))
    return _COMPARE[condition](row[field], value)


def random_query(chance: random.Random) -> dict[str, Any]:
    """Return a query of any kind."""
    kind = chance.random()
    order = {"limit": chance.choice([1, 3, 10]), "ascending": chance.random() < 0.5}
    if kind < 0.2:
        return {"what": "groups", "groups": chance.sample([*GROUPS, "never"], chance.randint(1, 4))}
    if kind < 0.4:
        one_user = {"user_id": "user1"} if chance.random() < 0.3 else {}
        return {"what": "users", "group": chance.choice(GROUPS), **one_user, **order}
    field = chance.choice(["group", "number_of_users"])
    values: list[Any] = ["a", "a-1", "b", "b-3", "\U0001f600"] if field == "group" else [0, 1, 2, 3, 1.5]
    query: dict[str, Any] = {"what": "groups", "searchFor": field, **order}
    if chance.random() < 0.8:
        query["value"] = chance.choice(values)
        if chance.random() < 0.3:
            query["range"] = chance.choice(values)
        else:
            query["condition"] = chance.choice(list(_COMPARE))
    return query
