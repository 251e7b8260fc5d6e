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


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("valkey+unix:///run/valkey.sock", ("/run/valkey.sock", 0, None, None, 0)),
        ("redis+unix:///a%20b%3F/c@d,e:f?db=3", ("/a b?/c@d,e:f", 0, None, None, 3)),
        ("VALKEY+UNIX://hub:p%40ss@/run/s", ("/run/s", 0, "hub", "p@ss", 0)),
    ],
)
def test_a_unix_socket_is_an_address(url: str, parts: tuple[object, ...]) -> None:
    address = parse_address(url)
    assert address[:5] == parts
    assert address.unix
    assert str(address) == parts[0]
    assert [address.at(*server) for server in address.servers()] == [address]
    assert not parse_address("valkey://store").unix


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("valkey+unix://run/valkey.sock", "begins with /"),
        ("valkey+unix:///run/valkey.sock?x=hush", "%3F"),
        ("valkey+unix:///run/%00", "NUL"),
        ("valkey+unix:///run/s?db=hush", r"\?db=2"),
        (f"valkey+unix:///{'x' * 103}", "104 bytes; at most 103"),
        (f"valkey+unix:///{'é' * 52}", "105 bytes; at most 103"),
    ],
)
def test_a_wrong_unix_socket_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"^backend: .*{why}") as raised:
        parse_address(url)
    assert "hush" not in str(raised.value)


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
