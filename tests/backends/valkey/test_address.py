from __future__ import annotations

import pytest

from hubbub.backends.valkey.address import parse_address
from hubbub.errors import SettingsError
from hubbub.settings import Settings


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("valkey://store", ("store", 6379, None, None, 0)),
        ("redis://127.0.0.1:7000/3", ("127.0.0.1", 7000, None, None, 3)),
        ("valkey://:p%40ss@[::1]:1/", ("::1", 1, None, "p@ss", 0)),
        ("valkey://hub:secret@store", ("store", 6379, "hub", "secret", 0)),
    ],
)
def test_an_address_is_taken_apart(url: str, parts: tuple[object, ...]) -> None:
    assert parse_address(url)[:5] == parts
    assert parse_address(url).tls is None


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_tls_checks_certificates(scheme: str) -> None:
    tls = parse_address(f"{scheme}://store").tls
    assert tls is not None
    assert tls.check_hostname


@pytest.mark.parametrize(
    "url",
    ["", "valkey", "http://store", "valkey://", "valkey://store/name", "valkey://s:99999", "valkey://:hush@s?x=1"],
)
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^backend") as raised:
        parse_address(url)
    assert "hush" not in str(raised.value)


def test_settings_do_not_show_the_password() -> None:
    assert "hush" not in repr(Settings(backend="valkey://hub:hush@store"))


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("valkey://one:1,two:2", [("one", 1), ("two", 2)]),
        ("valkey://:p,w@one,two:2,[::1]:3/0", [("one", 6379), ("two", 2), ("::1", 3)]),
    ],
)
def test_an_address_may_name_several_servers(url: str, servers: list[tuple[str, int]]) -> None:
    assert parse_address(url).servers() == servers
    assert parse_address(url).at("x", 9).servers() == [("x", 9)]


@pytest.mark.parametrize("url", ["valkey://one,", "valkey://one:x,two", "valkey://one,two:99999"])
def test_each_of_several_servers_is_checked(url: str) -> None:
    with pytest.raises(SettingsError, match="backend"):
        parse_address(url)
