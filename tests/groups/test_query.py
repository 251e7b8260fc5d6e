"""Conditions, ranges and bad input of listing queries, one by one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hubbub.errors import CommandError, ErrorCode
from support.listings import ALL, BY_SIZE, SIZES, groups_found, make_directory, names_on, page_of


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
    assert groups_found(**params) == groups
    assert groups_found(searchFor="group", **params) == groups


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
    assert groups_found(searchFor="number_of_users", **params) == groups


@pytest.mark.parametrize(
    ("alias", "sign"), [("eq", "="), ("ne", "!="), ("gt", ">"), ("lt", "<"), ("gte", ">="), ("lte", "<=")]
)
def test_words_mean_the_same_as_signs(alias: str, sign: str) -> None:
    assert groups_found(value="Hello", condition=alias) == groups_found(value="Hello", condition=sign)
    by_size = {"searchFor": "number_of_users", "value": 10}
    assert groups_found(**by_size, condition=alias) == groups_found(**by_size, condition=sign)


def test_names_are_ordered_and_prefixed_by_code_point() -> None:
    names = ["\u0000", "a", "a\u0000", "a\ud7ff", "a\ue000", "a\uffff", "a😀", "a\U0010ffff", "a\U0010ffff!", "b", "é"]
    directory = make_directory(dict.fromkeys(names, 1))
    assert names_on(page_of(directory)) == names
    for prefix in ("a", "a\ud7ff", "a\ue000", "a\U0010ffff", "\U0010ffff", "\u0000"):
        page = page_of(directory, value=prefix, condition=">=")
        assert names_on(page) == [name for name in names if name.startswith(prefix)]


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
        ({"value": "a", "range": "b", "condition": "="}, '"range" and "condition" cannot'),
        (SIZE | {"value": "3"}, '"value" must be a finite number'),
        (SIZE | {"value": ""}, '"value" must be a finite number'),
        (SIZE | {"value": math.inf}, '"value" must be a finite number'),
        (SIZE | {"value": math.nan}, '"value" must be a finite number'),
        (SIZE | {"value": 3, "range": -math.inf}, '"range" must be a finite number'),
        (SIZE | {"value": 3, "range": "9"}, '"range" must be a finite number'),
        (SIZE | {"condition": ">"}, '"condition" needs a "value"'),
        (SIZE | {"range": 0}, '"range" is the end of a range and needs a "value"'),
        (SIZE | {"value": 0, "range": 0, "condition": ">"}, '"range" and "condition" cannot'),
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
        page_of(make_directory(SIZES), **params)
    assert caught.value.code is ErrorCode.INVALID_PARAMETER
    assert caught.value.message.startswith(text)
