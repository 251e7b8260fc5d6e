"""Guest keys: which are accepted, and what is kept of them."""

from __future__ import annotations

import pytest

from hubbub.auth.guest_keys import check_guest_key, guest_key_digest, name_in_use, new_guest_key
from hubbub.errors import CommandError, ErrorCode


def test_new_keys_are_valid_and_differ() -> None:
    keys = {new_guest_key() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        check_guest_key(key)


@pytest.mark.parametrize(
    ("key", "text"), [("x" * 15, "it has 15"), ("x" * 129, "it has 129"), ("", "it has 0"), ("ü" * 16, "ASCII")]
)
def test_keys_that_are_refused(key: str, text: str) -> None:
    with pytest.raises(CommandError, match=text) as caught:
        check_guest_key(key)
    assert caught.value.code == ErrorCode.INVALID_PARAMETER


def test_a_digest_is_short_and_is_not_the_key() -> None:
    assert guest_key_digest("a" * 128) != guest_key_digest("a" * 127)
    assert len(guest_key_digest("a" * 128)) == 16


def test_the_error_says_what_to_do() -> None:
    assert name_in_use("bob").code == ErrorCode.FORBIDDEN
    assert '"bob" is in use' in name_in_use("bob").message
    assert '"guest_key"' in name_in_use("bob").message
