"""``Host`` headers: which are valid, and which name this machine."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.transports.hosts import host_name, is_local, not_local, split_url
from hubbub.transports.refusal import HttpError

LOCAL = [
    "localhost",
    "LOCALHOST:8000",
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.9.9.9",
    "[::1]",
    "[::1]:80",
    "[0:0::1]",
    "a.localhost",
    "",
]
OTHER = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "192.168.0.1",
    "0.0.0.0",
    "[::2]",
    "2130706433",
]
INVALID = [
    "localhost@evil.example",
    "evil.example#localhost",
    "evil.example/localhost",
    "[::1",
    "[:::]",
    "[.]",
    "[localhost]",
    "localhost, evil.example",
    "localhost\\evil.example",
    "localhost:8000:8000",
    "localhost:http",
    "localhost\n",
    ":8000",
    "höst",
    "a'b",
]


def test_which_hosts_are_this_machine() -> None:
    assert [host for host in LOCAL if not is_local(host)] == []
    assert [host for host in [*OTHER, *INVALID] if is_local(host)] == []


def test_which_hosts_are_valid() -> None:
    assert [host for host in [*LOCAL, *OTHER] if host_name(host) is None] == []
    assert [host for host in INVALID if host_name(host) is not None] == []


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Chat.Example:8000", "chat.example"),
        ("[0:0::1]:80", "::1"),
        ("", ""),
        ("a_b", "a_b"),
    ],
)
def test_names(host: str, name: str) -> None:
    assert host_name(host) == name


@given(st.text("[]:.0123456789abf%@/ ", max_size=12))
@example("[::1]]")
def test_no_host_raises(host: str) -> None:
    assert not is_local(host) or host_name(host) is not None


def test_urls() -> None:
    assert split_url("/v1/connect?token=a", "address").query == "token=a"
    with pytest.raises(HttpError) as caught:
        split_url("http://[", "address")
    assert caught.value.status == 400
    assert "address" in caught.value.message


def test_the_refusal_says_what_to_do() -> None:
    error = not_local()
    assert error.status == 403
    assert "--secret" in error.message
