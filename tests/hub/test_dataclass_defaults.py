"""Defaults of decoded dataclasses: they are in what is encoded, wherever the dataclass is in the message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

import msgspec
import pytest

from hubbub.hub.dataclass_defaults import completer


@dataclass
class Plain:
    text: str = "x"
    tags: list[str] = field(default_factory=list)
    made: int = field(default=7, init=False)


@dataclass(frozen=True)
class Frozen:
    n: int = 1


@dataclass(slots=True)
class Slots:
    n: int = 2


@dataclass
class Tree:
    n: int = 3
    children: list[Tree] = field(default_factory=list)


class Struct(msgspec.Struct):
    inner: Plain
    anything: Any = None
    n: int = 4


class Pair(NamedTuple):
    one: Frozen
    two: int = 5


class Typed(TypedDict):
    inner: Frozen


WHOLE = {"text": "x", "tags": [], "made": 7}


@pytest.mark.parametrize(
    ("kind", "message", "heard"),
    [
        (Plain, {}, WHOLE),
        (Plain, {"text": "y"}, WHOLE | {"text": "y"}),
        (Frozen, {}, {"n": 1}),
        (Slots, {}, {"n": 2}),
        (Tree, {"children": [{"children": [{}]}]}, None),
        (Struct, {"inner": {}}, {"inner": WHOLE, "anything": None, "n": 4}),
        (Pair, [{}], [{"n": 1}, 5]),
        (Typed, {"inner": {}}, {"inner": {"n": 1}}),
        (dict[str, list[Frozen]], {"a": [{}, {"n": 9}]}, {"a": [{"n": 1}, {"n": 9}]}),
        (tuple[Frozen, ...] | None, [{}], [{"n": 1}]),
    ],
)
def test_what_is_encoded_has_the_defaults(kind: Any, message: Any, heard: Any) -> None:
    complete = completer(kind)
    assert complete is not None
    value = msgspec.convert(message, kind)
    complete(value)
    leaf = {"n": 3, "children": []}
    heard = heard or {"n": 3, "children": [{"n": 3, "children": [leaf]}]}
    assert msgspec.json.decode(msgspec.json.encode(value)) == heard


@pytest.mark.parametrize("kind", [int, Any, dict[str, Any], list[str] | None])
def test_types_without_a_dataclass_cost_nothing(kind: Any) -> None:
    assert completer(kind) is None


def test_what_no_dataclass_can_be_in_is_not_looked_at() -> None:
    class Watched(dict[str, Any]):
        def values(self) -> Any:
            raise AssertionError("looked at")

    complete = completer(Struct)
    assert complete is not None
    complete(Struct(Plain(), Watched(a=1)))
