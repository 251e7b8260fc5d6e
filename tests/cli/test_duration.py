"""Spans of time, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.cli.duration import parse_duration

SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}


@given(st.integers(1, 999_999), st.sampled_from("smhd"))
def test_a_number_and_a_unit(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * SECONDS[unit]


@pytest.mark.parametrize("text", ["", "5", "h", "1.5h", "-1h", "0s", "1H", "1h30m", " 1h", "1h\n", "٣h", "9999999s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 90s, 15m, 1h or 7d"):
        parse_duration(text)
