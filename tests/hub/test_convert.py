"""Messages as types of the app and back: Structs, dataclasses, pydantic models, plain JSON; and wrong ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator
from pydantic.dataclasses import dataclass as validated

from hubbub.errors import CommandError
from hubbub.hub.convert import Converter, encode_message


class Struct(msgspec.Struct):
    text: str
    tags: list[str] = []


@dataclass
class Data:
    text: str
    count: int = 0


class Typed(TypedDict):
    text: str


class Model(BaseModel):
    text: str
    count: int = 0

    @field_validator("text")
    @classmethod
    def polite(cls, text: str) -> str:
        if text == "curse":
            raise ValueError("mind your language")
        return text


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (Struct, {"text": "x"}, Struct("x")),
        (Data, {"text": "x", "count": 2}, Data("x", 2)),
        (Typed, {"text": "x"}, {"text": "x"}),
        (Model, {"text": "x"}, Model(text="x")),
        (list[Model], [{"text": "x", "count": 1}], [Model(text="x", count=1)]),
        (Struct | None, None, None),
        (Any, {"n": [1, 2.5, None]}, {"n": [1, 2.5, None]}),
        (int, 7, 7),
    ],
)
def test_a_message_becomes_what_the_hook_takes_and_back(kind: Any, message: Any, expected: Any) -> None:
    converter = Converter(kind, Any)
    value = converter.decode(raw(message))
    assert value == expected
    if value is not None:
        encoded = json.loads(bytes(converter.encode(value) or b""))
        assert encoded == message or {**encoded, **message} == encoded


class Aliased(BaseModel):
    some_text: str = Field(alias="someText")
    n: int = 1


@validated
class Validated:
    text: str = Field(alias="someText")
    n: int = 1


@pytest.mark.parametrize(
    ("kind", "message", "heard"),
    [
        (Struct, {"text": "x"}, {"text": "x", "tags": []}),
        (Data, {"text": "x"}, {"text": "x", "count": 0}),
        (Model, {"text": "x"}, {"text": "x", "count": 0}),
        (list[Data], [{"text": "x"}], [{"text": "x", "count": 0}]),
        (Aliased, {"someText": "x"}, {"someText": "x", "n": 1}),
        (list[Aliased], [{"someText": "x"}], [{"someText": "x", "n": 1}]),
        (Validated, {"someText": "x"}, {"someText": "x", "n": 1}),
        (Typed, {"text": "x", "more": 1}, {"text": "x"}),
    ],
)
def test_members_hear_all_fields_of_what_the_hook_returns(kind: Any, message: Any, heard: Any) -> None:
    converter = Converter(kind, Any)
    assert json.loads(bytes(converter.encode(converter.decode(raw(message))) or b"")) == heard


@pytest.mark.parametrize("kind", [Struct, Data, Typed, Model])
def test_a_wrong_message_is_refused_with_the_name_of_the_field(kind: Any) -> None:
    converter = Converter(kind, Any)
    for message, field in [({"text": 7}, "message.text"), ({}, "message.text"), ([], "message")]:
        with pytest.raises(CommandError) as refused:
            converter.decode(raw(message))
        assert refused.value.code == "INVALID_PARAMETER"
        assert field in refused.value.message


def test_a_validator_of_a_pydantic_model_refuses() -> None:
    with pytest.raises(CommandError, match="mind your language"):
        Converter(Model, Any).decode(raw({"text": "curse"}))


def test_a_field_within_a_list_is_named() -> None:
    with pytest.raises(CommandError, match=r"message\.tags"):
        Converter(Struct, Any).decode(raw({"text": "x", "tags": [1]}))


@pytest.mark.parametrize("kind", [Struct, Data, Model])
def test_a_return_of_another_type_is_wrong(kind: Any) -> None:
    converter = Converter(kind, Any)
    assert converter.encode(None) is None
    with pytest.raises(TypeError, match=rf"returned dict instead of {kind.__name__}"):
        converter.encode({"text": "x"})


def test_the_declared_return_type_decides() -> None:
    assert bytes(Converter(Struct, Data | None).encode(Data("x")) or b"") == b'{"text":"x","count":0}'
    with pytest.raises(TypeError, match="instead of Data"):
        Converter(Struct, Data).encode(Struct("x"))
    with pytest.raises(TypeError, match="swallows"):
        Converter(Struct, Struct).encode(None)


def test_what_json_cannot_represent_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be represented in JSON"):
        encode_message({"x": object()})
    with pytest.raises(TypeError):
        Converter(Any, Any).encode({1, object()})


def test_halves_of_surrogate_pairs_come_through() -> None:
    converter = Converter(Any, Any)
    message = msgspec.Raw(b'{"text":"\\ud83d"}')
    value = converter.decode(message)
    assert value == {"text": "\ud83d"}
    assert json.loads(bytes(converter.encode(value) or b"")) == value


def test_a_message_full_of_long_numbers_takes_no_long_time() -> None:
    message = msgspec.Raw(b"[" + b",".join([b"1e290"] * 10_000) + b"]")
    converter = Converter(list[float], Any)
    assert len(converter.decode(message)) == 10_000
    assert cpu_time(lambda: converter.decode(message)) < cpu_time(lambda: msgspec.json.decode(message)) / 2


def cpu_time(call: Callable[[], object]) -> float:
    """Return the CPU seconds that a call takes in this thread: the shortest of five."""

    def once() -> float:
        began = time.thread_time()
        call()
        return time.thread_time() - began

    return min(once() for _ in range(5))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_plain_json_comes_through_unchanged(value: Any) -> None:
    converter = Converter(Any, Any)
    encoded = encode_message(converter.decode(raw(value)))
    assert json.loads(bytes(encoded)) == value


def test_a_model_beside_a_type_that_pydantic_does_not_know_is_refused_when_it_is_defined() -> None:
    with pytest.raises(TypeError, match="Unable to generate pydantic-core schema"):
        Converter(Model | Struct, Any)
