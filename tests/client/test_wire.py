from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.client.events import UNREADABLE, Message, Other, Problem
from hubbub.client.wire import Reply, check_size, encode, join_command, post_command, read_frame
from hubbub.errors import CommandError, ErrorCode

text = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | text, lambda inner: st.lists(inner) | st.dictionaries(text, inner)
)


@given(json_values)
def test_json_values_are_encoded_unchanged(value: Any) -> None:
    assert json.loads(encode(post_command(value, "g")))["message"] == value


@pytest.mark.parametrize(
    ("message", "place", "what"),
    [
        (float("nan"), '"message"', "nan"),
        ({"a": [1, {"b": float("-inf")}]}, "\"message['a'][1]['b']\"", "-inf"),
        ({"a": {1, 2}}, "\"message['a']\"", "a set"),
        (b"bytes", '"message"', "a bytes"),
        ({1: "x"}, '"message"', "a dict with the key 1"),
    ],
)
def test_values_that_json_cannot_represent_are_named(message: Any, place: str, what: str) -> None:
    with pytest.raises(CommandError) as caught:
        encode(post_command(message, "g"))
    assert caught.value.code == ErrorCode.INVALID_PARAMETER
    assert caught.value.message == f"{place} is {what}, which JSON cannot represent."


def test_half_a_surrogate_pair_is_rejected() -> None:
    with pytest.raises(CommandError, match="surrogate") as caught:
        encode(post_command("\ud800", "g"))
    assert caught.value.code == ErrorCode.INVALID_PARAMETER


def test_a_list_that_contains_itself_is_too_deep() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CommandError) as caught:
        encode(post_command(loop, "g"))
    assert caught.value.code == ErrorCode.TOO_LARGE


@pytest.mark.parametrize("recipient", [None, "", {}, {"group": ""}, {"group": None}, 7, {"name": "g"}])
def test_a_post_needs_a_recipient(recipient: Any) -> None:
    with pytest.raises(CommandError, match='"recipient" must be'):
        post_command("hi", recipient)


@pytest.mark.parametrize("group", [7, True, ["g"], {"group": "g"}])
def test_a_group_is_a_string(group: Any) -> None:
    with pytest.raises(CommandError, match='"group" must be'):
        join_command(group)


def test_size_is_checked_to_the_byte() -> None:
    def check(message: Any, recipient: str = "g") -> None:
        command = post_command(message, recipient)
        check_size(command, encode(command), 100)

    check("x" * 98)
    check("é" * 49)
    with pytest.raises(CommandError, match='"message" has 101 bytes; at most 100') as caught:
        check("x" * 99)
    assert caught.value.code == ErrorCode.TOO_LARGE
    with pytest.raises(CommandError, match='"message" has 102 bytes'):
        check("é" * 50)
    with pytest.raises(CommandError, match="The command has"):
        check("", "g" * 100)


@pytest.mark.parametrize("frame", ["1", "[]", "null", "{}", '{"id":7}', '{"type":7}'])
def test_json_that_is_not_a_frame_is_ignored(frame: str) -> None:
    assert read_frame(frame) is None


@pytest.mark.parametrize(
    "frame", ['{"type":', "", "\x00", '{"type":"message","message":' + "[" * 100_000 + "]" * 100_000 + "}"]
)
def test_an_unreadable_frame_is_reported(frame: str) -> None:
    problem = read_frame(frame)
    assert isinstance(problem, Problem)
    assert problem.code == UNREADABLE


def test_an_event_of_a_later_server() -> None:
    assert read_frame('{"type":"later","x":1}') == Other("later", {"type": "later", "x": 1})


def test_a_message_with_fields_of_a_later_server() -> None:
    frame = '{"type":"message","message":[1],"sender":"a","sender_cid":null,"sender_rid":"g","seq":3,"later":1}'
    assert read_frame(frame) == Message([1], "a", None, "g", 3)


def test_an_error_without_an_id_is_an_event() -> None:
    assert read_frame('{"id":null,"error":{"code":"X","message":"y"}}') == Problem("X", "y")


def test_ok_may_be_null() -> None:
    reply = read_frame('{"id":1,"ok":null}')
    assert isinstance(reply, Reply)
    assert bytes(reply.ok or b"") == b"null"


@pytest.mark.parametrize("number", ["1e290", "1e-320", "-0.0", "1.7976931348623157e308", "0.1"])
def test_numbers_keep_their_value(number: str) -> None:
    event = read_frame(
        f'{{"type":"message","message":[{number}],"sender":"a","sender_cid":null,"sender_rid":"g","seq":1}}'
    )
    assert isinstance(event, Message)
    assert repr(event.message) == repr([float(number)])


def test_a_number_out_of_range_is_reported() -> None:
    event = read_frame('{"type":"message","message":1e999,"sender":"a","sender_cid":null,"sender_rid":"g","seq":1}')
    assert isinstance(event, Problem)
    assert event.code == UNREADABLE
