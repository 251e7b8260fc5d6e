"""Settings: the defaults are safe, every limit holds, errors say what to set and never show a secret."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from hubbub.errors import SettingsError
from hubbub.settings import RENAMED, Settings

SECRET = "s" * 32
NUMBERS = [field.name for field in fields(Settings) if type(field.default) in (int, float)]


def test_the_defaults_listen_on_loopback_and_let_guests_in() -> None:
    settings = Settings()
    assert settings.loopback
    assert settings.allow_guests
    assert not settings.has_keys


def test_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_old_name_of_a_setting_is_refused_with_the_new_one(old: str, new: str) -> None:
    assert new in NUMBERS
    with pytest.raises(SettingsError, match=f"^{old} is now called {new}: use the new name$"):
        Settings(**{old: 1})  # type: ignore[arg-type]


def test_copies() -> None:
    settings = Settings(port=1)
    assert replace(settings, port=2) == Settings(port=2)
    assert pickle.loads(pickle.dumps(settings)) == settings  # for workers


def test_workers_are_a_number_or_auto() -> None:
    assert Settings(workers="auto").workers == "auto"
    with pytest.raises(SettingsError, match="workers must be at least 1"):
        Settings(workers=0)
    with pytest.raises(SettingsError, match=r'^workers must be a number or "auto", not .many.$'):
        Settings(workers="many")  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert Settings(host=host).loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.1", "example.com", "localhost.example.com", "127.1"])
def test_elsewhere_without_keys_nothing_starts(host: str) -> None:
    with pytest.raises(SettingsError, match=r"HUBBUB_SECRET.*HUBBUB_JWKS_URL"):
        Settings(host=host)
    with pytest.raises(SettingsError, match="--no-guests"):
        Settings(host=host, secret=SECRET, guests=True)
    for keys in ({"secret": SECRET}, {"jwks_url": "https://keys.example/jwks"}):
        settings = Settings(host=host, **keys)  # type: ignore[arg-type]
        assert not settings.loopback
        assert not settings.allow_guests


@pytest.mark.parametrize(
    ("guests", "secret", "allowed"),
    [
        (None, None, True),
        (None, SECRET, False),
        (True, None, True),
        (True, SECRET, True),
        (False, None, False),
        (False, SECRET, False),
    ],
)
def test_guests_on_loopback(guests: bool | None, secret: str | None, allowed: bool) -> None:
    assert Settings(guests=guests, secret=secret).allow_guests is allowed


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf])
def test_numbers_have_limits(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "least"),
    [("max_message", 1), ("max_page", 1), ("rate_burst", 1), ("rate_limit", 0), ("leeway", 0), ("ping_interval", 0.1)],
)
def test_limits_are_inclusive(name: str, least: float) -> None:
    assert getattr(Settings(**{name: least}), name) == least  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=f"{name} must be at least {least}"):
        Settings(**{name: least - 0.05})  # type: ignore[arg-type]


@pytest.mark.parametrize("port", [0, 65_535])
def test_ports(port: int) -> None:
    assert Settings(port=port).port == port


def test_a_port_too_high() -> None:
    with pytest.raises(SettingsError, match="at most 65535"):
        Settings(port=65_536)


def test_a_command_must_be_able_to_carry_a_message() -> None:
    assert Settings(max_message=10, max_command=10).max_command == 10
    with pytest.raises(SettingsError, match="max_command must be at least max_message"):
        Settings(max_message=11, max_command=10)


@pytest.mark.parametrize("level", ["INFO", "", "trace"])
def test_log_levels(level: str) -> None:
    assert Settings(log_level="debug").log_level == "debug"
    with pytest.raises(SettingsError, match="debug, info, warning or error"):
        Settings(log_level=level)


def test_the_secret_is_never_shown() -> None:
    shown = repr(Settings(secret="hidden " * 10, port=9000))
    assert shown == "Settings(port=9000, secret='…')"
    for options in ({"secret": "hidden"}, {"secret": "hidden " * 10, "host": "0.0.0.0", "guests": True}):
        with pytest.raises(SettingsError) as caught:
            Settings(**options)  # type: ignore[arg-type]
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_has_a_docstring(name: str) -> None:
    """The command line makes its help of them."""
    import ast
    import inspect

    body: Any = ast.parse(inspect.getsource(Settings)).body[0]
    after = dict(zip(body.body, body.body[1:], strict=False))
    field = next(n for n in body.body if isinstance(n, ast.AnnAssign) and getattr(n.target, "id", "") == name)
    assert isinstance(after[field], ast.Expr)
    text = str(after[field].value.value)  # type: ignore[attr-defined]
    assert text.endswith(".")
    assert "\n" not in text  # a row of a table, and a paragraph of the help
