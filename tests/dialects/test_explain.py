"""The sentences that msgspec's descriptions become."""

from __future__ import annotations

import pytest

from hubbub.dialects.explain import explain, explain_malformed

TEXTS = [
    ("Object missing required field `group`", '"group" is missing.'),
    ("Object missing required field `seq` - at `$.since`", '"since.seq" is missing.'),
    ("Object missing required field `do`", '"do" must be one of join, leave.'),
    ("Invalid value 'dance' - at `$.do`", '"do" must be one of join, leave.'),
    ("Object contains unknown field `x` - at `$.to`", '"to" has an unknown field "x".'),
    ("Expected `str | null`, got `int` - at `$.group`", '"group" must be text or null, got int.'),
    ("Expected `object`, got `array`", "A command must be object, got array."),
]


@pytest.mark.parametrize(("problem", "text"), TEXTS)
def test_a_wrong_value_is_named(problem: str, text: str) -> None:
    assert explain(problem, tags=("join", "leave")) == text


def test_without_tags_no_field_says_which_command_it_is() -> None:
    assert explain("Object missing required field `do`") == '"do" is missing.'
    assert explain("Expected `object`, got `int`", whole="frame") == "A frame must be object, got int."


def test_what_a_client_sent_is_repeated_up_to_a_limit() -> None:
    assert len(explain(f"Object contains unknown field `{'x' * 10_000}`")) < 300


def test_a_malformed_text() -> None:
    assert explain_malformed("JSON is malformed: invalid character (byte 3)", b"{a}") == (
        "The frame is not JSON: invalid character (byte 3)."
    )
    assert "surrogate pair" in explain_malformed("Input data was truncated", rb'"\ud800"')
