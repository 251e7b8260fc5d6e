"""What can be watched: which commands are accepted, and what they mean."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.errors import CommandError
from hubbub.groups.query import Interval
from hubbub.groups.view_query import GroupUsers, ListedGroups, NamedGroups, ViewQuery, parse_watch
from hubbub.messages import UserRow, Watch


def parse(**fields: Any) -> ViewQuery:
    return parse_watch(Watch(**fields), 100, 20, lambda cursor, order: cursor)


def refusal(**fields: Any) -> str:
    with pytest.raises(CommandError) as refused:
        parse(**fields)
    assert refused.value.code == "INVALID_PARAMETER"
    return refused.value.message


def test_equal_queries_are_one_view() -> None:
    fields = {"what": "groups", "search_for": "number_of_users", "value": 1, "condition": ">=", "limit": 5}
    assert parse(**fields) == parse(**fields)
    assert hash(parse(**fields)) == hash(parse(**fields))
    assert parse(**fields) != parse(**{**fields, "ascending": False})


def test_a_cursor_moves_the_page_and_not_what_is_counted() -> None:
    found = parse(what="groups", value="a", condition=">=", start_key={"group": "ab"})
    assert isinstance(found, ListedGroups)
    assert found.query.intervals == (Interval("ab\0", "b"),)
    assert found.matching.intervals == (Interval("a", "b"),)


def test_names_are_sorted_and_each_is_there_once() -> None:
    assert parse(what="groups", groups=["b", "a", "b"]) == NamedGroups(("a", "b"))


def test_users_of_a_group() -> None:
    found = parse(what="users", group="g", user_id="ada", start_key={"user_id": "ada", "connection_id": "1"})
    assert isinstance(found, GroupUsers)
    assert (found.group, found.query.user_id, found.query.after) == ("g", "ada", UserRow("ada", "1"))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"what": "users"}, '"group" is missing'),
        ({"what": "users", "group": ""}, '"group"'),
        ({"what": "users", "group": "g" * 21}, '"group" must be 1 to 20 characters'),
        ({"what": "users", "group": "g", "value": "x"}, '"value"'),
        ({"what": "users", "group": "g", "limit": 101}, '"limit" must be 1 to 100'),
        ({"what": "groups", "limit": 0}, '"limit"'),
        ({"what": "groups", "group": "g"}, '"group" is not allowed'),
        ({"what": "groups", "value": 1}, '"value" must be a string'),
        ({"what": "groups", "groups": []}, '"groups" must have 1 to 100 names, not 0'),
        ({"what": "groups", "groups": ["a"] * 101}, "not 101"),
        ({"what": "groups", "groups": [""]}, '"groups" must be 1 to 20 characters'),
        ({"what": "groups", "groups": ["a"], "search_for": "group"}, '"searchFor" is not allowed beside "groups"'),
        ({"what": "groups", "groups": ["a"], "start_key": "end"}, '"startKey"'),
        ({"what": "groups", "start_key": {"group": 1}}, '"startKey"'),
    ],
)
def test_each_refusal_names_the_field(fields: dict[str, Any], named: str) -> None:
    assert named in refusal(**fields)
