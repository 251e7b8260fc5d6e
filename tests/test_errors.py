"""The one table of codes, against the RFC's limits and against what the documentation promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hubbub.errors import CLOSE_RULES, HTTP_STATUS, Close, CommandError, ErrorCode, invalid

PROTOCOL = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()


def test_every_code_has_its_place() -> None:
    assert set(CLOSE_RULES) == set(Close)
    assert set(HTTP_STATUS) == set(ErrorCode)


@pytest.mark.parametrize("code", Close)
def test_close_codes_can_be_sent(code: Close) -> None:
    """RFC 6455, section 7.4: codes an endpoint may send; section 5.5: a control frame holds 125 bytes."""
    assert code in {1000, 1001, 1002, 1003, 1007, 1009, 1011, 1012} or 4000 <= code <= 4999
    assert len(CLOSE_RULES[code].reason.encode()) <= 123


def test_the_documentation_has_the_same_close_codes() -> None:
    rows = re.findall(r"^\| ((?:\d{4}(?:, )?)+) \|.*\| (yes|no)", PROTOCOL, re.MULTILINE)
    documented = {int(code): answer == "yes" for codes, answer in rows for code in codes.split(", ")}
    assert documented == {int(code): rule.reconnect for code, rule in CLOSE_RULES.items()}


def test_the_documentation_has_the_same_error_codes() -> None:
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \|", PROTOCOL, re.MULTILINE))
    assert {code: int(status) for code, status in documented.items()} == HTTP_STATUS


def test_an_error_reads_well() -> None:
    error = invalid('"limit" must be 1 to 1000, not 0.')
    assert str(error) == 'INVALID_PARAMETER: "limit" must be 1 to 1000, not 0.'
    assert isinstance(error, CommandError)
