"""The groups of the directory, pages and cursors, and hidden groups."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hubbub.groups import directory as module
from hubbub.groups.directory import Directory, parse_query
from hubbub.messages import GroupRow, Groups, Page
from support.listings import ALL, BY_SIZE, groups_found, make_directory, names_on, page_of, rows_of

# --- groups -----------------------------------------------------------------------------------------------------------


def test_keeps_what_was_put_until_it_is_removed() -> None:
    directory = Directory()
    directory.put("a", 1, 1)
    directory.put("a", 2, 5)
    directory.put("b", 7, 7)
    assert (len(directory), "a" in directory, "c" in directory) == (2, True, False)
    assert directory.get("a") == GroupRow("a", 2, 5)
    assert page_of(directory, searchFor="number_of_users").list == [GroupRow("a", 2, 5), GroupRow("b", 7, 7)]
    directory.put("a", 2, 4)
    assert page_of(directory).list == [GroupRow("a", 2, 4), GroupRow("b", 7, 7)]
    assert page_of(directory, searchFor="number_of_users").list == [GroupRow("a", 2, 4), GroupRow("b", 7, 7)]
    directory.remove("a")
    assert (len(directory), "a" in directory, directory.get("a")) == (1, False, None)
    assert page_of(directory).list == page_of(directory, searchFor="number_of_users").list == [GroupRow("b", 7, 7)]


def test_removing_an_unknown_group_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Directory().remove("a")


def test_a_page_does_not_change_with_the_directory() -> None:
    directory = make_directory({"a": 1})
    page = page_of(directory)
    directory.put("a", 2, 2)
    assert page.list == [GroupRow("a", 1, 1)]


def test_an_empty_directory_has_one_empty_page() -> None:
    assert page_of(Directory()) == Page([], "end", True)


# --- pages and cursors ------------------------------------------------------------------------------------------------


def test_a_page_has_50_rows_unless_asked_otherwise() -> None:
    directory = make_directory({f"{i:04}": 1 for i in range(1001)})
    assert len(page_of(directory).list) == 50
    assert len(page_of(directory, limit=1000).list) == 1000


def test_a_server_with_smaller_pages_fills_those() -> None:
    directory = make_directory({f"{i:04}": 1 for i in range(10)})
    assert len(directory.page(parse_query(Groups(), max_page=3)).list) == 3


def test_the_cursor_names_the_last_row() -> None:
    directory = make_directory({"a": 2, "b": 1, "c": 3})
    assert page_of(directory, limit=2).start_key == {"group": "b"}
    by_size = page_of(directory, searchFor="number_of_users", limit=2)
    assert (by_size.start_key, by_size.end_of_list) == ({"number_of_users": 2, "group": "a"}, False)


def test_a_full_last_page_says_end() -> None:
    directory = make_directory({"a": 1, "b": 1})
    assert page_of(directory, limit=2) == Page([GroupRow("a", 1, 1), GroupRow("b", 1, 1)], "end", True)


def test_start_begins_and_end_is_an_empty_page() -> None:
    assert groups_found(startKey="start") == ALL
    assert groups_found(startKey="end") == []
    assert groups_found(startKey="end", searchFor="number_of_users", value=3, condition="!=") == []


@pytest.mark.parametrize(
    ("params", "groups"),
    [
        ({"startKey": {"group": "HelloWorld"}}, ["Hellp", "hello", "zoo"]),
        ({"startKey": {"group": "HelloWorld"}, "ascending": False}, ["HelloUniverse", "Hello"]),
        ({"startKey": {"group": "HelloWho"}}, ["HelloWorld", "Hellp", "hello", "zoo"]),
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
    assert groups_found(**params) == groups


@pytest.mark.parametrize(
    ("users", "group", "params", "groups"),
    [
        (3, "Hello", {}, ["hello", "Hellp", "HelloUniverse", "zoo"]),
        (3, "hello", {"ascending": False}, ["Hello", "HelloWorld"]),
        (10, "Unknown", {}, ["HelloUniverse", "zoo"]),
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
    assert groups_found(searchFor="number_of_users", startKey=start_key, **params) == groups


# --- only what the reader may see -------------------------------------------------------------------------------------


def test_hidden_groups_are_left_out_of_rows_and_cursors() -> None:
    directory = make_directory({"a1": 1, "b1": 1, "a2": 1, "b2": 1, "a3": 1})
    page = page_of(directory, lambda name: name.startswith("a"), limit=2)
    assert (names_on(page), page.start_key) == (["a1", "a2"], {"group": "a2"})
    page = page_of(directory, lambda name: name.startswith("a"), limit=2, startKey=page.start_key)
    assert (names_on(page), page.start_key) == (["a3"], "end")


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("order", ["group", "number_of_users"])
def test_a_filtered_page_is_bounded_and_gets_on_by_all_that_it_passes_over(
    monkeypatch: pytest.MonkeyPatch, order: str, ascending: bool
) -> None:
    monkeypatch.setattr(module, "MOST_HIDDEN", 50)
    directory = make_directory({f"hidden/{i:03}": 1 + i // 200 for i in range(1000)} | {"mine": 3})
    asked: list[str] = []

    def visible(name: str) -> bool:
        asked.append(name)
        return name == "mine"

    rows, pages, start_key = [], 0, None
    while start_key != "end":
        asked.clear()
        page = page_of(directory, visible, searchFor=order, ascending=ascending, limit=5, startKey=start_key)
        assert len(asked) <= 50 + 5 + 1
        rows += rows_of(page)
        pages += 1
        start_key = page.start_key
    assert rows == [GroupRow("mine", 3, 3)]
    assert pages == 1000 / 50 + 1


def test_a_filtered_page_is_bounded_in_time() -> None:
    directory = make_directory({f"{number:04}": 1 for number in range(1000)})
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
        rows += names_on(page)
        pages += 1
        start_key = page.start_key
    assert rows == [f"{number:04}" for number in range(0, 1000, 10)]
    assert pages > 15
