"""``with hub.refused(code):`` what passes, and what fails the test."""

from __future__ import annotations

import pytest

from hubbub.errors import CommandError, ErrorCode
from hubbub.testing.refusal import Refusal


def refuse() -> None:
    raise CommandError(ErrorCode.FORBIDDEN, "Not your team.")


def test_the_expected_refusal() -> None:
    with Refusal("FORBIDDEN", match="team") as refusal:
        refuse()
    assert refusal.message == "Not your team."
    with Refusal(ErrorCode.FORBIDDEN):
        refuse()


def test_nothing_was_refused() -> None:
    with pytest.raises(AssertionError, match="nothing was refused; expected FORBIDDEN"), Refusal("FORBIDDEN"):
        pass


def test_another_code() -> None:
    text = 'refused with FORBIDDEN instead of TOO_LARGE: "Not your team."'
    with pytest.raises(AssertionError, match=text), Refusal("TOO_LARGE"):
        refuse()


def test_another_text() -> None:
    with pytest.raises(AssertionError, match='"budget" is not in the text'), Refusal("FORBIDDEN", match="budget"):
        refuse()


def test_another_error_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), Refusal("FORBIDDEN"):
        _ = 1 / 0


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("FORBIDDENN", "did you mean FORBIDDEN"),
        ("forbidden", "did you mean FORBIDDEN"),
        ("4003", "INVALID_PARAMETER, "),
    ],
)
def test_a_code_that_does_not_exist(code: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        Refusal(code)
