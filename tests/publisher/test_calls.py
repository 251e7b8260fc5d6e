"""Calls are checked when they are made; `test_contract.py` has the texts of every wrong one."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import CommandError, NotJsonError
from hubbub.messages import Groups
from hubbub.publisher.calls import Disconnect, make_disconnect, make_groups, make_post, make_users

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_message_is_encoded_as_it_is(message: Any) -> None:
    post = make_post("group", "g", message, "k", None, None)
    assert json.loads(bytes(post.message)) == message


@pytest.mark.parametrize("message", [{1}, b"x", {1: 2}, math.inf, object(), "\ud800", [{"a": math.nan}]])
def test_what_is_no_json(message: Any) -> None:
    with pytest.raises(NotJsonError) as caught:
        make_post("user", "u", message, "k", None, None)
    assert isinstance(caught.value, CommandError | TypeError | ValueError)
    assert caught.value.code == "INVALID_PARAMETER"


@pytest.mark.parametrize("options", [{"to": 3}, {"key": 3}, {"key": ""}, {"sender": 3}, {"min_recipients": True}])
def test_wrong_posts(options: dict[str, Any]) -> None:
    fields = {"kind": "group", "to": "g", "message": 1, "key": "k", "min_recipients": None, "sender": None}
    with pytest.raises(CommandError, match=next(iter(options)).replace("to", "group")):
        make_post(**{**fields, **options})


def test_seconds_of_a_ban_are_rounded_up() -> None:
    assert make_disconnect("a", None, 0.1) == Disconnect("a", None, 1)
    assert make_disconnect("a", None, None) == Disconnect("a", None, None)
    assert make_disconnect(None, "c", None) == Disconnect(None, "c", None)
    for wrong in (
        (None, None, None),
        ("a", "c", None),
        (None, "c", 1),
        ("a", None, -1),
        ("a", None, math.nan),
        (3, None, 1),
    ):
        with pytest.raises(CommandError, match="INVALID_PARAMETER"):
            make_disconnect(*wrong)


def test_listings() -> None:
    assert make_groups(None, None, None, None, None, None, None) == Groups()
    assert make_groups("number_of_users", 3, ">=", None, 10, False, {"cursor": "x"}) == Groups(
        search_for="number_of_users", value=3, condition=">=", limit=10, ascending=False, start_key={"cursor": "x"}
    )
    assert make_users("g", "u", 3, None, "start").start_key == "start"
    for wrong in (
        {"limit": "3"},
        {"ascending": 1},
        {"start_key": 3},
        {"value": [1]},
        {"condition": "like", "value": "a"},
    ):
        fields: dict[str, Any] = dict.fromkeys(
            ["search_for", "value", "condition", "range", "limit", "ascending", "start_key"]
        )
        with pytest.raises(CommandError, match="INVALID_PARAMETER"):
            make_groups(**{**fields, **wrong})


def test_a_post_cannot_be_changed() -> None:
    post = make_post("group", "g", 1, "k", None, None)
    with pytest.raises(AttributeError):
        post.to = "h"  # type: ignore[misc]
    assert post.message == msgspec.Raw(b"1")
