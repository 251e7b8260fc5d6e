"""The head of a request: its size, its ``Host`` and the form of an upgrade."""

from __future__ import annotations

import pytest

from hubbub.transports.http.head_checks import HEAD_TOO_LARGE, MAX_HEAD, problem_with_head

HOST = (b"host", b"chat.example")


def problem(*headers: tuple[bytes, bytes], url: bytes = b"/", version: str = "1.1", upgrade: bool = False) -> str:
    found = problem_with_head(url, headers, version, upgrade=upgrade)
    if found is None:
        return ""
    assert found.status == (431 if found is HEAD_TOO_LARGE else 400)
    return found.message


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("host", [b"", b"chat.example", b"a_b:80", b"127.0.0.1:8000", b"[::1]", b"[::1]:8000", b"a.b."])
def test_valid_hosts(host: bytes, version: str) -> None:
    assert problem((b"host", host), version=version) == ""


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "host",
    [
        *[b"a b", b"a/b", b"a@b", b"a?b", b"a#b", b"a\\b", b"a,b", b"a'b", b'a"b', b"a<b", b"a%41", b"a\xe4"],
        *[b"a:b", b"a:80:80", b"a:123456", b":80", b"[", b"[]", b"[::1", b"[::1]x", b"[:::]", b"[1.2.3.4]", b"::1"],
    ],
)
def test_invalid_hosts(host: bytes, version: str) -> None:
    assert "not valid" in problem((b"host", host), version=version)


def test_a_request_has_exactly_one_host() -> None:
    assert "exactly one" in problem()
    assert "exactly one" in problem(HOST, HOST)
    assert problem(version="1.0") == ""
    assert "exactly one" in problem(HOST, HOST, version="1.0")


def test_a_head_up_to_the_limit_is_accepted() -> None:
    rest = MAX_HEAD - len("/") - sum(map(len, HOST)) - 4 - len("x") - 4
    assert problem(HOST, (b"x", b"y" * rest)) == ""
    assert f"{MAX_HEAD} bytes" in problem(HOST, (b"x", b"y" * (rest + 1)))
    assert f"{MAX_HEAD} bytes" in problem(HOST, url=b"/" * MAX_HEAD)


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ((b"content-length", b"0"), ""),
        ((b"content-length", b"5"), "body"),
        ((b"content-length", b"00"), "body"),
        ((b"transfer-encoding", b"chunked"), "body"),
    ],
)
def test_an_upgrade_has_no_body(header: tuple[bytes, bytes], word: str) -> None:
    found = problem(HOST, header, upgrade=True)
    assert word in found
    assert bool(found) == bool(word)
    assert problem(HOST, header) == ""


def test_an_upgrade_is_http_1_1() -> None:
    assert "HTTP/1.1" in problem(HOST, version="1.0", upgrade=True)
