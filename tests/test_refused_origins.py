"""What is said about pages of refused origins: the reason of the close frame, and the lines of the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.refused_origins import LOGGED, PERIOD, RefusedOrigins, refusal_reason


def test_the_reason_names_the_origin_and_the_setting() -> None:
    assert (
        refusal_reason("http://localhost:5173")
        == "origin http://localhost:5173 is not allowed; add it to --origins of the server"
    )


@given(st.text(max_size=500))
def test_a_reason_fits_into_a_close_frame(origin: str) -> None:
    reason = refusal_reason(origin)
    assert reason.startswith("origin ")
    assert len(reason.encode()) <= 123
    assert reason.isascii()
    assert reason.isprintable()


def test_the_log_names_the_flag_once_for_each_origin() -> None:
    refused = RefusedOrigins()
    line = refused.line("http://localhost:5173", 0.0)
    assert line is not None
    assert line.endswith("start the server with --origins http://localhost:5173")
    assert refused.line("http://localhost:5173", 1.0) is None
    assert refused.line("http://localhost:3000", 1.0) is not None
    assert refused.line("http://localhost:5173", PERIOD) is not None


@pytest.mark.parametrize(
    "origin", ["null", "file://", "capacitor://localhost", "http://x\u2028y", "https://" + "a" * 500]
)
def test_an_origin_that_cannot_be_set_gets_no_flag_with_it(origin: str) -> None:
    line = RefusedOrigins().line(origin, 0.0)
    assert line is not None
    assert "--origins cannot name" in line
    assert line.isprintable()
    assert len(line) < 250


def test_a_flood_of_origins_is_counted() -> None:
    refused = RefusedOrigins()
    lines = [refused.line(f"http://a{number}.example", 1.0) for number in range(1000)]
    logged = [line for line in lines if line is not None]
    assert len(logged) == LOGGED
    assert logged[-1].endswith("[refusals of further origins are only counted for up to 60 minutes]")
    assert refused.line("http://b.example", 1.0 + PERIOD - 0.1) is None
    after = refused.line("http://b.example", 1.0 + PERIOD)
    assert after is not None
    assert after.startswith(f"[{1000 - LOGGED + 1} refusals of further origins were not logged] ")
    assert not after.endswith("]")
