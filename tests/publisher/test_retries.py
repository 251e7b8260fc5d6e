"""What is retried, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import CommandError, ErrorCode
from hubbub.publisher.retries import BACKOFF_CAP, AttemptError, parse_retry_after, pause_before_retry

RETRIED = {ErrorCode.UNAVAILABLE, ErrorCode.RATE_LIMITED}


def failed(code: ErrorCode, retry_after: float | None = None, *, final: bool = False) -> AttemptError:
    return AttemptError(CommandError(code, "text"), retry_after, final=final)


@pytest.mark.parametrize("code", ErrorCode)
def test_only_what_passes_is_retried(code: ErrorCode) -> None:
    assert (pause_before_retry(failed(code), 0, 10, 0.5) is not None) == (code in RETRIED)
    assert pause_before_retry(failed(code, final=True), 0, 10, 0.5) is None


def test_pauses_grow() -> None:
    most = [pause_before_retry(failed(ErrorCode.UNAVAILABLE), number, 100, 1.0) for number in range(7)]
    assert most == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@given(
    st.integers(0, 10**6), st.floats(-1, 60), st.floats(0, 1), st.none() | st.floats(0, 1e9), st.sampled_from(ErrorCode)
)
def test_a_pause_leaves_time_and_is_as_long_as_the_server_asks(
    number: int, left: float, random: float, retry_after: float | None, code: ErrorCode
) -> None:
    pause = pause_before_retry(failed(code, retry_after), number, left, random)
    if pause is not None:
        assert (retry_after or 0) <= pause < left
        assert pause <= max(BACKOFF_CAP, retry_after or 0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("120", 120), (None, None), ("", None), ("-1", None), ("1.5", None), ("٣", None), ("9" * 400, None),
     ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds
