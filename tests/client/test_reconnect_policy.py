from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.client.reconnect_policy import (
    BACKOFF_CAP,
    backoff,
    http_url,
    is_loopback,
    refresh_in,
    should_reconnect,
    socket_url,
)
from hubbub.errors import CommandError, ErrorCode


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/v1/connect"),
        ("https://example.com/", "wss://example.com/v1/connect"),
        ("https://example.com/realtime/", "wss://example.com/realtime/v1/connect"),
        ("ws://[::1]:9/v1/connect", "ws://[::1]:9/v1/connect"),
        ("wss://example.com?a=b#c", "wss://example.com/v1/connect?a=b"),
    ],
)
def test_the_socket_of_a_server(url: str, socket: str) -> None:
    assert socket_url(url) == socket


@pytest.mark.parametrize(
    "url", ["", "example.com", "ftp://example.com", "http://", "http://h:99999", "http://[::1", "/"]
)
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(CommandError, match="is not a URL") as caught:
        socket_url(url)
    assert caught.value.code == ErrorCode.INVALID_PARAMETER


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_waits_are_bounded(attempt: int, random: float) -> None:
    assert 0 <= backoff(attempt, random) <= BACKOFF_CAP


@pytest.mark.parametrize(
    ("code", "renewable", "expected"),
    [
        (ErrorCode.UNAVAILABLE, False, True),
        (ErrorCode.RATE_LIMITED, False, True),
        (ErrorCode.INTERNAL, False, True),
        (ErrorCode.UNAUTHORIZED, False, False),
        (ErrorCode.UNAUTHORIZED, True, True),
        (ErrorCode.FORBIDDEN, True, False),
        ("LATER_CODE", True, False),
    ],
)
def test_refusals(code: str, renewable: bool, expected: bool) -> None:
    assert should_reconnect(code, renewable=renewable) is expected


@pytest.mark.parametrize(
    ("expires", "wait"), [(None, None), (1000, None), (999, None), (1001, None), (1100, 80), (4600, 3540)]
)
def test_when_to_ask_for_a_new_token(expires: float | None, wait: float | None) -> None:
    assert refresh_in(expires, 1000) == wait


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:1/", True),
        ("ws://127.8.0.1/", True),
        ("ws://[::1]/", True),
        ("ws://localhost:1/", True),
        ("ws://a.localhost/", True),
        ("ws://10.0.0.1/", False),
        ("wss://localhost.example.com/", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://chat.example.com/", "https://chat.example.com"),
        ("wss://chat.example.com/hub/v1/connect?x=y#z", "https://chat.example.com/hub"),
        ("ws://[::1]:80/hub/", "http://[::1]:80/hub"),
    ],
)
def test_the_address_of_the_http_side(url: str, expected: str) -> None:
    assert http_url(url) == expected
