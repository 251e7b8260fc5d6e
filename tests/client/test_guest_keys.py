"""The key of a process's guests."""

from __future__ import annotations

import pytest

from hubbub.client.guest_keys import derive_guest_key
from hubbub.errors import CommandError


def test_a_process_has_one_key_for_each_server() -> None:
    assert derive_guest_key("http://a.example") == derive_guest_key("ws://a.example/v1/connect")
    assert derive_guest_key("http://a.example") != derive_guest_key("http://b.example")


def test_it_depends_on_the_secret() -> None:
    assert derive_guest_key("http://a.example", b"1") != derive_guest_key("http://a.example", b"2")


def test_an_address_that_is_none() -> None:
    with pytest.raises(CommandError, match="is not a URL"):
        derive_guest_key("ftp://a.example")
