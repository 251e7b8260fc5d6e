"""The directory against the rules of its queries, one by one, and against a plain sorted list."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import CommandError, ErrorCode
from hubbub.groups import directory as module
from hubbub.groups.directory import Directory, parse_query
from hubbub.messages import GroupRow, Groups, Page

SIZES = {"Hello": 3, "HelloUniverse": 11, "HelloWorld": 1, "Hellp": 10, "hello": 3, "zoo": 200}


def make(sizes: dict[str, int]) -> Directory:
    directory = Directory()
    for group, users in sizes.items():
        directory.put(group, users, users)
    return directory


def ask(directory: Directory, visible: Callable[[str], bool] | None = None, /, **params: Any) -> Page:
    """Decode the parameters as the wire does, and return the page. No parameter is called `self`."""
    command = msgspec.convert({"do": "groups", **params}, Groups)
    return directory.page(parse_query(command, 1000), visible)


def found(**params: Any) -> list[str]:
    page = ask(make(SIZES), **params)
    assert (page.start_key, page.end_of_list) == ("end", True)
    return [row.group for row in page.list]


def walk(directory: Directory, visible: Callable[[str], bool] | None = None, /, **params: Any) -> list[GroupRow]:
    """Follow the cursors to the end and return all rows."""
    rows: list[GroupRow] = []
    start_key: Any = None
    while start_key != "end":
        page = ask(directory, visible, **params, startKey=start_key)
        assert page.end_of_list == (page.start_key == "end")
        assert page.start_key != start_key
        rows += page.list
        start_key = page.start_key
    return rows


# --- groups -----------------------------------------------------------------------------------------------------------


def test_keeps_what_was_put_until_it_is_removed() -> None:
    directory = Directory()
    directory.put("a", 1, 1)
    directory.put("a", 2, 5)
    directory.put("b", 7, 7)
    assert (len(directory), "a" in directory, "c" in directory) == (2, True, False)
    assert directory.get("a") == GroupRow("a", 2, 5)
    assert ask(directory, searchFor="number_of_users").list == [GroupRow("a", 2, 5), GroupRow("b", 7, 7)]
    directory.put("a", 2, 4)
    assert ask(directory).list == [GroupRow("a", 2, 4), GroupRow("b", 7, 7)]
    assert ask(directory, searchFor="number_of_users").list == [GroupRow("a", 2, 4), GroupRow("b", 7, 7)]
    directory.remove("a")
    assert (len(directory), "a" in directory, directory.get("a")) == (1, False, None)
    assert ask(directory).list == ask(directory, searchFor="number_of_users").list == [GroupRow("b", 7, 7)]


def test_removing_an_unknown_group_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Directory().remove("a")


def test_a_page_does_not_change_with_the_directory() -> None:
    directory = make({"a": 1})
    page = ask(directory)
    directory.put("a", 2, 2)
    assert page.list == [GroupRow("a", 1, 1)]


def test_an_empty_directory_has_one_empty_page() -> None:
    assert ask(Directory()) == Page([], "end", True)


# --- conditions -------------------------------------------------------------------------------------------------------

ALL = ["Hello", "HelloUniverse", "HelloWorld", "Hellp", "hello", "zoo"]


@pytest.mark.parametrize(
    ("params", "groups"),
    [
        ({}, ALL),
        ({"value": None, "condition": None, "range": None, "limit": None, "startKey": None}, ALL),
        ({"ascending": False}, ALL[::-1]),
        ({"value": "Hello"}, ["Hello"]),
        ({"value": "Hello", "condition": "="}, ["Hello"]),
        ({"value": "HELLO"}, []),
        ({"value": "Hello", "condition": "!="}, ALL[1:]),
        ({"value": "HelloWorld", "condition": "!="}, ["Hello", "HelloUniverse", "Hellp", "hello", "zoo"]),
        ({"value": "HelloWorld", "condition": ">"}, ["Hellp", "hello", "zoo"]),
        ({"value": "HelloWorld", "condition": "<"}, ["Hello", "HelloUniverse"]),
        ({"value": "HelloWorld", "condition": "<="}, ["Hello", "HelloUniverse", "HelloWorld"]),
        ({"value": "Hello", "condition": ">="}, ["Hello", "HelloUniverse", "HelloWorld"]),
        ({"value": "Hello", "condition": ">=", "ascending": False}, ["HelloWorld", "HelloUniverse", "Hello"]),
        ({"value": "", "condition": ">="}, ALL),
        ({"value": ""}, []),
        ({"value": "HelloUniverse", "range": "Hellp"}, ["HelloUniverse", "HelloWorld", "Hellp"]),
        ({"value": "I", "range": "zo"}, ["hello"]),
        ({"value": "zoo", "range": "Hello"}, []),
        ({"value": "zoo", "range": "zoo"}, ["zoo"]),
    ],
    ids=str,
)
def test_by_name(params: dict[str, Any], groups: list[str]) -> None:
    assert found(**params) == groups
    assert found(searchFor="group", **params) == groups


BY_SIZE = ["HelloWorld", "Hello", "hello", "Hellp", "HelloUniverse", "zoo"]  # 1 3 3 10 11 200


@pytest.mark.parametrize(
    ("params", "groups"),
    [
        ({}, BY_SIZE),
        ({"ascending": False}, BY_SIZE[::-1]),
        ({"value": 3}, ["Hello", "hello"]),
        ({"value": 3.0}, ["Hello", "hello"]),
        ({"value": 3.5}, []),
        ({"value": 3, "condition": "="}, ["Hello", "hello"]),
        ({"value": 3, "condition": "!="}, ["HelloWorld", "Hellp", "HelloUniverse", "zoo"]),
        ({"value": 10.5, "condition": "!="}, BY_SIZE),
        ({"value": 10, "condition": ">"}, ["HelloUniverse", "zoo"]),
        ({"value": 10, "condition": ">="}, ["Hellp", "HelloUniverse", "zoo"]),
        ({"value": 10.5, "condition": ">="}, ["HelloUniverse", "zoo"]),
        ({"value": 10.5, "condition": ">"}, ["HelloUniverse", "zoo"]),
        ({"value": 10.5, "condition": "<"}, ["HelloWorld", "Hello", "hello", "Hellp"]),
        ({"value": 10, "condition": "<"}, ["HelloWorld", "Hello", "hello"]),
        ({"value": 10, "condition": "<="}, ["HelloWorld", "Hello", "hello", "Hellp"]),
        ({"value": 3, "range": 11}, ["Hello", "hello", "Hellp", "HelloUniverse"]),
        ({"value": 2.5, "range": 10.5, "ascending": False}, ["Hellp", "hello", "Hello"]),
        ({"value": 11, "range": 3}, []),
        ({"value": -1, "condition": ">"}, BY_SIZE),
        ({"value": 10**400, "condition": "<"}, BY_SIZE),
        ({"value": 1e308, "condition": ">"}, []),
    ],
    ids=lambda value: str(value)[:50],
)
def test_by_number_of_users(params: dict[str, Any], groups: list[str]) -> None:
    assert found(searchFor="number_of_users", **params) == groups


@pytest.mark.parametrize(
    ("alias", "sign"), [("eq", "="), ("ne", "!="), ("gt", ">"), ("lt", "<"), ("gte", ">="), ("lte", "<=")]
)
def test_words_mean_the_same_as_signs(alias: str, sign: str) -> None:
    assert found(value="Hello", condition=alias) == found(value="Hello", condition=sign)
    by_size = {"searchFor": "number_of_users", "value": 10}
    assert found(**by_size, condition=alias) == found(**by_size, condition=sign)


def test_names_are_ordered_and_prefixed_by_code_point() -> None:
    names = ["\u0000", "a", "a\u0000", "a\ud7ff", "a\ue000", "a\uffff", "a😀", "a\U0010ffff", "a\U0010ffff!", "b", "é"]
    directory = make(dict.fromkeys(names, 1))
    assert [row.group for row in ask(directory).list] == names
    for prefix in ("a", "a\ud7ff", "a\ue000", "a\U0010ffff", "\U0010ffff", "\u0000"):
        rows = ask(directory, value=prefix, condition=">=").list
        assert [row.group for row in rows] == [name for name in names if name.startswith(prefix)]


# --- pages and cursors ------------------------------------------------------------------------------------------------


def test_a_page_has_50_rows_unless_asked_otherwise() -> None:
    directory = make({f"{i:04}": 1 for i in range(1001)})
    assert len(ask(directory).list) == 50
    assert len(ask(directory, limit=1000).list) == 1000


def test_a_server_with_smaller_pages_fills_those() -> None:
    directory = make({f"{i:04}": 1 for i in range(10)})
    assert len(directory.page(parse_query(Groups(), max_page=3)).list) == 3


def test_the_cursor_names_the_last_row() -> None:
    directory = make({"a": 2, "b": 1, "c": 3})
    assert ask(directory, limit=2).start_key == {"group": "b"}
    by_size = ask(directory, searchFor="number_of_users", limit=2)
    assert (by_size.start_key, by_size.end_of_list) == ({"number_of_users": 2, "group": "a"}, False)


def test_a_full_last_page_says_end() -> None:
    directory = make({"a": 1, "b": 1})
    assert ask(directory, limit=2) == Page([GroupRow("a", 1, 1), GroupRow("b", 1, 1)], "end", True)


def test_start_begins_and_end_is_an_empty_page() -> None:
    assert found(startKey="start") == ALL
    assert found(startKey="end") == []
    assert found(startKey="end", searchFor="number_of_users", value=3, condition="!=") == []


@pytest.mark.parametrize(
    ("params", "groups"),
    [
        ({"startKey": {"group": "HelloWorld"}}, ["Hellp", "hello", "zoo"]),
        ({"startKey": {"group": "HelloWorld"}, "ascending": False}, ["HelloUniverse", "Hello"]),
        ({"startKey": {"group": "HelloVanished"}}, ["HelloWorld", "Hellp", "hello", "zoo"]),
        ({"startKey": {"group": ""}}, ALL),
        ({"startKey": {"group": ""}, "ascending": False}, []),
        ({"startKey": {"group": "A"}, "value": "Hello"}, ["Hello"]),
        ({"startKey": {"group": "i"}, "value": "Hello"}, []),
        ({"startKey": {"group": "i"}, "value": "Hello", "ascending": False}, ["Hello"]),
        ({"startKey": {"group": "Hellp"}, "value": "Hello", "condition": "!="}, ["hello", "zoo"]),
        ({"startKey": {"group": "Hello"}, "value": "Hello", "range": "HelloW"}, ["HelloUniverse"]),
    ],
    ids=str,
)
def test_a_cursor_continues_behind_its_place_by_name(params: dict[str, Any], groups: list[str]) -> None:
    assert found(**params) == groups


@pytest.mark.parametrize(
    ("users", "group", "params", "groups"),
    [
        (3, "Hello", {}, ["hello", "Hellp", "HelloUniverse", "zoo"]),
        (3, "hello", {"ascending": False}, ["Hello", "HelloWorld"]),
        (10, "Vanished", {}, ["HelloUniverse", "zoo"]),
        (4, "Hello", {}, ["Hellp", "HelloUniverse", "zoo"]),
        (-5, "", {}, BY_SIZE),
        (10**30, "", {"ascending": False}, BY_SIZE[::-1]),
        (1, "HelloWorld", {"value": 3}, ["Hello", "hello"]),
        (11, "HelloUniverse", {"value": 3}, []),
    ],
)
def test_a_cursor_continues_behind_its_place_by_size(
    users: int, group: str, params: dict[str, Any], groups: list[str]
) -> None:
    start_key = {"number_of_users": users, "group": group}
    assert found(searchFor="number_of_users", startKey=start_key, **params) == groups


# --- bad input --------------------------------------------------------------------------------------------------------

SIZE = {"searchFor": "number_of_users"}


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"limit": 0}, '"limit" must be 1 to 1000'),
        ({"limit": -1}, '"limit" must be 1 to 1000'),
        ({"limit": 1001}, '"limit" must be 1 to 1000'),
        ({"limit": 10**4000}, '"limit" must be 1 to 1000'),
        ({"value": 3}, '"value" must be a string'),
        ({"value": "a", "range": 3}, '"range" must be a string'),
        ({"value": 0, "condition": "!="}, '"value" must be a string'),
        ({"condition": "="}, '"condition" needs a "value"'),
        ({"range": "a"}, '"range" is the end of a range and needs a "value"'),
        ({"value": "a", "range": "b", "condition": "="}, '"range" and "condition" exclude'),
        (SIZE | {"value": "3"}, '"value" must be a finite number'),
        (SIZE | {"value": ""}, '"value" must be a finite number'),
        (SIZE | {"value": math.inf}, '"value" must be a finite number'),
        (SIZE | {"value": math.nan}, '"value" must be a finite number'),
        (SIZE | {"value": 3, "range": -math.inf}, '"range" must be a finite number'),
        (SIZE | {"value": 3, "range": "9"}, '"range" must be a finite number'),
        (SIZE | {"condition": ">"}, '"condition" needs a "value"'),
        (SIZE | {"range": 0}, '"range" is the end of a range and needs a "value"'),
        (SIZE | {"value": 0, "range": 0, "condition": ">"}, '"range" and "condition" exclude'),
        ({"startKey": "middle"}, '"startKey" must be'),
        ({"startKey": ""}, '"startKey" must be'),
        ({"startKey": {}}, '"startKey" must be'),
        ({"startKey": {"group": 3}}, '"startKey" must be'),
        ({"startKey": {"group": None}}, '"startKey" must be'),
        ({"startKey": {"group": ["a"]}}, '"startKey" must be'),
        ({"startKey": {"group": "a", "more": 1}}, '"startKey" must be'),
        ({"startKey": {"group": "a", "number_of_users": 1}}, '"startKey" must be'),
        (SIZE | {"startKey": {"group": "a"}}, '"startKey" must be'),
        (SIZE | {"startKey": {"number_of_users": 1}}, '"startKey" must be'),
        (SIZE | {"startKey": {"group": "a", "number_of_users": "1"}}, '"startKey" must be'),
        (SIZE | {"startKey": {"group": "a", "number_of_users": 1.5}}, '"startKey" must be'),
        (SIZE | {"startKey": {"group": "a", "number_of_users": True}}, '"startKey" must be'),
        (SIZE | {"startKey": {"group": "a", "number_of_users": 1, "more": 1}}, '"startKey" must be'),
        (SIZE | {"startKey": "1"}, '"startKey" must be'),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_input_names_the_field_and_the_limit(params: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        ask(make(SIZES), **params)
    assert caught.value.code is ErrorCode.INVALID_PARAMETER
    assert caught.value.message.startswith(text)


# --- only what the reader may see -------------------------------------------------------------------------------------


def test_hidden_groups_are_left_out_of_rows_and_cursors() -> None:
    directory = make({"a1": 1, "b1": 1, "a2": 1, "b2": 1, "a3": 1})
    page = ask(directory, lambda name: name.startswith("a"), limit=2)
    assert ([row.group for row in page.list], page.start_key) == (["a1", "a2"], {"group": "a2"})
    page = ask(directory, lambda name: name.startswith("a"), limit=2, startKey=page.start_key)
    assert ([row.group for row in page.list], page.start_key) == (["a3"], "end")


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("order", ["group", "number_of_users"])
def test_a_filtered_page_is_bounded_and_gets_on_by_all_that_it_passes_over(
    monkeypatch: pytest.MonkeyPatch, order: str, ascending: bool
) -> None:
    monkeypatch.setattr(module, "MOST_HIDDEN", 50)
    directory = make({f"hidden/{i:03}": 1 + i // 200 for i in range(1000)} | {"mine": 3})
    asked: list[str] = []

    def visible(name: str) -> bool:
        asked.append(name)
        return name == "mine"

    rows, pages, start_key = [], 0, None
    while start_key != "end":
        asked.clear()
        page = ask(directory, visible, searchFor=order, ascending=ascending, limit=5, startKey=start_key)
        assert len(asked) <= 50 + 5 + 1
        rows += page.list
        pages += 1
        start_key = page.start_key
    assert rows == [GroupRow("mine", 3, 3)]
    assert pages == 1000 / 50 + 1


def test_a_filtered_page_is_bounded_in_time() -> None:
    directory = make({f"{number:04}": 1 for number in range(1000)})
    worked = 0.0

    def visible(name: str) -> bool:
        nonlocal worked
        worked += module.MOST_TIME / 40
        return int(name) % 10 == 0

    rows, pages, start_key = [], 0, None
    while start_key != "end":
        before = worked
        page = directory.page(
            parse_query(msgspec.convert({"do": "groups", "limit": 900, "startKey": start_key}, Groups), 1000),
            visible,
            lambda: worked,
        )
        assert worked - before <= module.MOST_TIME * (1 + module.LOOK / 40)
        rows += [row.group for row in page.list]
        pages += 1
        start_key = page.start_key
    assert rows == [f"{number:04}" for number in range(0, 1000, 10)]
    assert pages > 15


# --- against a naive oracle -------------------------------------------------------------------------------------------

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
        value, what = params.get("value"), name if by_name else users
        if value is None:
            return True
        if "range" in params:
            return bool(value <= what <= params["range"])  # type: ignore[operator]
        return {
            "=": lambda: what == value,
            "!=": lambda: what != value,
            ">": lambda: what > value,
            "<": lambda: what < value,
            ">=": lambda: name.startswith(value) if by_name else users >= value,
            "<=": lambda: what <= value,
        }[params.get("condition", "=")]()

    rows = [GroupRow(name, users, users) for name, users in groups.items() if matches(name, users)]
    key: Callable[[GroupRow], Any] = lambda row: row.group if by_name else (row.number_of_users, row.group)  # noqa: E731
    return sorted(rows, key=key, reverse=not params["ascending"])


@settings(max_examples=150, deadline=None)
@given(GROUPS, queries(), st.integers(1, 8), st.integers(2, 6))
def test_listings_are_those_of_a_plain_sorted_list(
    groups: dict[str, int], params: dict[str, Any], limit: int, most_hidden: int
) -> None:
    directory = make(groups)
    expected = oracle(groups, params)
    assert ask(directory, **params, limit=1000) == Page(expected, "end", True)
    first = ask(directory, **params, limit=limit)
    assert first.list == expected[:limit]
    assert first.end_of_list == (len(expected) <= limit)
    assert walk(directory, **params, limit=limit) == expected
    with pytest.MonkeyPatch.context() as patch:  # pages that pass over too much end early, and still list everything
        patch.setattr(module, "MOST_HIDDEN", most_hidden)
        visible = [row for row in expected if "a" in row.group]
        assert walk(directory, lambda name: "a" in name, **params, limit=limit) == visible


CHANGES = st.lists(st.tuples(NAMES, st.none() | USERS), max_size=6)


@settings(max_examples=100, deadline=None)
@given(GROUPS, queries(), st.integers(1, 4), st.lists(CHANGES, max_size=12))
def test_pages_are_stable_under_churn(
    groups: dict[str, int], params: dict[str, Any], limit: int, churn: list[list[tuple[str, int | None]]]
) -> None:
    """Between two pages, groups come (or come back), go (None) and change their size."""
    directory, now, touched = make(groups), dict(groups), set()
    seen: list[str] = []
    rounds, start_key = iter(churn), None
    while start_key != "end":
        page = ask(directory, **params, limit=limit, startKey=start_key)
        seen += [row.group for row in page.list]
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
    assert ask(directory, limit=1000).list == [model[name] for name in sorted(model)]
    by_size = sorted(model.values(), key=lambda row: (row.number_of_users, row.group))
    assert ask(directory, limit=1000, searchFor="number_of_users").list == by_size
