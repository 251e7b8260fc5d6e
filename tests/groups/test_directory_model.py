"""The directory against a plain sorted list: properties of listings, pages and changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.groups import directory as module
from hubbub.groups.directory import Directory
from hubbub.messages import GroupRow, Page
from support.listings import all_rows, make_directory, names_on, page_of

NAMES = st.text("ab\ud7ff\ue000😀\U0010ffff", min_size=1, max_size=3)
USERS = st.integers(1, 5)
GROUPS = st.dictionaries(NAMES, USERS, max_size=25)
CONDITIONS = ["=", "!=", ">", "<", ">=", "<="]


@st.composite
def queries(draw: st.DrawFn) -> dict[str, Any]:
    order = draw(st.sampled_from(["group", "number_of_users"]))
    numbers = st.integers(-1, 7) | st.sampled_from([0.5, 2.0, 2.5, 4.999, 1e300])
    values = st.just("") | NAMES if order == "group" else numbers
    params: dict[str, Any] = {"searchFor": order, "ascending": draw(st.booleans())}
    shape = draw(st.sampled_from(["all", "value", "condition", "condition", "range"]))
    if shape != "all":
        params["value"] = draw(values)
    if shape == "condition":
        params["condition"] = draw(st.sampled_from(CONDITIONS))
    if shape == "range":
        params["range"] = draw(values)
    return params


def oracle(groups: dict[str, int], params: dict[str, Any]) -> list[GroupRow]:
    """Look at every group, compare as the design's table says, sort."""
    by_name = params["searchFor"] == "group"

    def matches(name: str, users: int) -> bool:
        value: Any = params.get("value")
        what: Any = name if by_name else users
        if value is None:
            return True
        if "range" in params:
            return bool(value <= what <= params["range"])
        comparisons: dict[str, Callable[[], bool]] = {
            "=": lambda: what == value,
            "!=": lambda: what != value,
            ">": lambda: what > value,
            "<": lambda: what < value,
            ">=": lambda: name.startswith(value) if by_name else users >= value,
            "<=": lambda: what <= value,
        }
        return comparisons[params.get("condition", "=")]()

    rows = [GroupRow(name, users, users) for name, users in groups.items() if matches(name, users)]
    key: Callable[[GroupRow], Any] = lambda row: row.group if by_name else (row.number_of_users, row.group)  # noqa: E731
    return sorted(rows, key=key, reverse=not params["ascending"])


@settings(max_examples=150, deadline=None)
@given(GROUPS, queries(), st.integers(1, 8), st.integers(2, 6))
def test_listings_are_those_of_a_plain_sorted_list(
    groups: dict[str, int], params: dict[str, Any], limit: int, most_hidden: int
) -> None:
    directory = make_directory(groups)
    expected = oracle(groups, params)
    assert page_of(directory, **params, limit=1000) == Page(expected, "end", True)
    first = page_of(directory, **params, limit=limit)
    assert first.list == expected[:limit]
    assert first.end_of_list == (len(expected) <= limit)
    assert all_rows(directory, **params, limit=limit) == expected
    with pytest.MonkeyPatch.context() as patch:  # pages that pass over too much end early, and still list everything
        patch.setattr(module, "MOST_HIDDEN", most_hidden)
        visible = [row for row in expected if "a" in row.group]
        assert all_rows(directory, lambda name: "a" in name, **params, limit=limit) == visible


CHANGES = st.lists(st.tuples(NAMES, st.none() | USERS), max_size=6)


@settings(max_examples=100, deadline=None)
@given(GROUPS, queries(), st.integers(1, 4), st.lists(CHANGES, max_size=12))
def test_pages_are_stable_under_churn(
    groups: dict[str, int], params: dict[str, Any], limit: int, churn: list[list[tuple[str, int | None]]]
) -> None:
    """Between two pages, groups come (or come back), go (None) and change their size."""
    directory, now, touched = make_directory(groups), dict(groups), set()
    seen: list[str] = []
    rounds, start_key = iter(churn), None
    while start_key != "end":
        page = page_of(directory, **params, limit=limit, startKey=start_key)
        seen += names_on(page)
        start_key = page.start_key
        for name, users in next(rounds, []):
            if users is not None:
                # By name, a group may change its size as it likes and still be listed exactly once.
                if params["searchFor"] == "number_of_users" or name not in now:
                    touched |= {name} if now.get(name) != users else set()
                now[name] = users
                directory.put(name, users, users)
            elif now.pop(name, None) is not None:
                touched.add(name)
                directory.remove(name)
    steady = [row.group for row in oracle({n: u for n, u in groups.items() if n not in touched}, params)]
    assert [name for name in seen if name not in touched] == steady
    if params["searchFor"] == "group":
        assert len(seen) == len(set(seen))  # not even those that came and went appear twice


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NAMES, st.none() | USERS, st.integers(0, 3)), max_size=60))
def test_any_changes_leave_both_orders_right(changes: list[tuple[str, int | None, int]]) -> None:
    directory, model = Directory(), {}
    for name, users, more in changes:
        if users is not None:
            directory.put(name, users, users + more)
            model[name] = GroupRow(name, users, users + more)
        elif name in model:
            directory.remove(name)
            del model[name]
        else:
            with pytest.raises(KeyError):
                directory.remove(name)
    assert len(directory) == len(model)
    assert all(directory.get(name) == row for name, row in model.items())
    assert page_of(directory, limit=1000).list == [model[name] for name in sorted(model)]
    by_size = sorted(model.values(), key=lambda row: (row.number_of_users, row.group))
    assert page_of(directory, limit=1000, searchFor="number_of_users").list == by_size
