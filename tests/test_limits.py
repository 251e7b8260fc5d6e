"""Limits against the standard library's JSON parser as an independent judge of depth."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import CommandError
from hubbub.limits import PARSED, check_message, check_name, too_deep

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('[]{}"\\ab', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\ab', max_size=3), inner, max_size=3),
    max_leaves=12,
)


MOST_DIGITS = 308
"""So many nines fit into a double; 1.8e308 is the largest, so with one more digit some integers do not."""


def naive_depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(naive_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(naive_depth, value), default=0)
    return 0


@given(JSON, st.integers(1, 6))
def test_depth(value: Any, most: int) -> None:
    assert too_deep(json.dumps(value).encode(), most) == (naive_depth(value) > most)


@given(JSON, st.integers(1, 6))
def test_a_message_is_refused_exactly_when_it_is_too_deep(value: Any, most: int) -> None:
    raw = msgspec.Raw(json.dumps(value).encode())
    try:
        check_message(raw, 1000, most)
    except CommandError as error:
        assert (error.code, naive_depth(value) > most) == ("TOO_LARGE", True)
    else:
        assert naive_depth(value) <= most


@pytest.mark.parametrize(
    ("raw", "code", "text"),
    [
        (b'"' + b"x" * 99 + b'"', "TOO_LARGE", '"message" is 101 bytes; at most 100 are allowed.'),
        (b"[" * 49 + b"]" * 49, "TOO_LARGE", '"message" is nested deeper than 10 levels.'),
        (
            b"1e400",
            "INVALID_PARAMETER",
            '"message" contains a number that is out of the range of a double: send it as a string.',
        ),
    ],
)
def test_refused_messages(raw: bytes, code: str, text: str) -> None:
    with pytest.raises(CommandError) as caught:
        check_message(msgspec.Raw(raw), 100, 10)
    assert (caught.value.code, caught.value.message) == (code, text)


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1" * 400, b"1" * 5000])
def test_half_a_surrogate_pair_passes_but_hides_no_number(number: bytes) -> None:
    """Dialects that must refuse such halves do so when they decode."""
    check_message(msgspec.Raw(b'["\\ud800",1e300,' + b"1" * 300 + b"]"), 10_000, 10)
    with pytest.raises(CommandError, match="out of the range of a double"):
        check_message(msgspec.Raw(b'["\\ud800",' + number + b"]"), 10_000, 10)


def test_a_number_of_5000_digits_is_refused() -> None:
    with pytest.raises(CommandError, match="out of the range of a double"):
        check_message(msgspec.Raw(b"1" * 5000), 65536, 64)


@pytest.mark.parametrize("digit", [b"1", b"9"])
def test_a_long_integer_is_found_wherever_it_stands(digit: bytes) -> None:
    """Short messages are only sampled for long integers: no offset may escape, and no string be taken for one."""

    def message(before: int, number: bytes) -> msgspec.Raw:
        after = PARSED - before - len(number) - len(b'["",,""]')
        raw = b'["' + b"x" * before + b'",' + number + b',"' + b"x" * after + b'"]'
        assert len(raw) == PARSED
        return msgspec.Raw(raw)

    too_long, longest = digit * (MOST_DIGITS + 1), digit * MOST_DIGITS
    if digit == b"1":
        too_long = b"2" + too_long[1:]  # 1.8e308 is the largest double
    for before in range(PARSED - len(too_long) - 10 + 1):
        with pytest.raises(CommandError, match="out of the range of a double"):
            check_message(message(before, too_long), PARSED, 10)
        check_message(message(before, longest), PARSED, 10)
        check_message(message(before, b'"' + too_long + b'"'), PARSED, 10)


def test_digits_in_a_string_are_no_number() -> None:
    for size in (MOST_DIGITS + 1, 1000, PARSED - 2, 5000):
        check_message(msgspec.Raw(b'"' + b"9" * size + b'"'), 10_000, 10)
        check_message(msgspec.Raw(b'["\\"' + b"9" * size + b'",1]'), 10_000, 10)


def is_finite(number: str) -> bool:
    return math.isfinite(float(number))


NUMBERS = st.integers(306, 312).map(lambda digits: "1" * digits) | st.from_regex(
    r"-?(0|[1-9][0-9]{0,320})(\.[0-9]{1,320})?([eE][+-]?0{0,3}[0-9]{1,4})?", fullmatch=True
)


@given(NUMBERS, st.sampled_from([b"", b'"\\ud800",', b'"\\\\ud800",', b'"1e999",', b'"\\uDFFF",']))
def test_a_number_is_refused_exactly_when_no_double_holds_it(number: str, before: bytes) -> None:
    """Long messages are looked through in another way than short ones."""
    for padding in (b"", b'"' + b"x" * PARSED + b'",'):
        raw = msgspec.Raw(b"[" + padding + before + number.encode() + b"]")
        if is_finite(number):
            check_message(raw, 10_000, 10)
        else:
            with pytest.raises(CommandError, match="out of the range of a double"):
                check_message(raw, 10_000, 10)


@pytest.mark.parametrize("raw", [b"null", b"0", b"false", b'""', b"1e308", b"123456789012345678901234567890", b'"x"'])
def test_accepted_messages(raw: bytes) -> None:
    check_message(msgspec.Raw(raw), 30, 1)


@pytest.mark.parametrize(("name", "size"), [("", "empty"), ("x" * 257, "257 characters long")])
def test_names_have_a_length(name: str, size: str) -> None:
    with pytest.raises(CommandError) as caught:
        check_name("group", name, 256)
    assert caught.value.message == f'"group" must be 1 to 256 characters; it is {size}.'


def test_characters_count_not_bytes() -> None:
    check_name("group", "\U0001f600" * 256, 256)
