"""Settings of hooks over HTTP: which addresses, events and headers are allowed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from hubbub.errors import SettingsError
from hubbub.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"x" * 32).decode()
URL = "https://app.example.com/hubbub"


def settings(**given: Any) -> Settings:
    return Settings(**{"hooks": URL, "hooks_secret": SECRET, **given})


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://10.0.0.5/hubbub",  # a private address is the operator's own choice
        "https://app.example.com:8443/a/b?c=d",
        "http://127.0.0.1:9000/",
        "http://127.8.8.8/",
        "http://[::1]:9000/hubbub",
        "http://localhost/hubbub",
    ],
)
def test_addresses_that_are_allowed(url: str) -> None:
    assert settings(hooks=url).hooks == url


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://app.example.com/", "https://"),
        ("http://10.0.0.5/", "https://"),
        ("http://localhost.example.com/", "https://"),
        ("http://169.254.169.254/", "https://"),
        ("ftp://app.example.com/", "address with a host"),
        ("https://", "address with a host"),
        ("app.example.com", "address with a host"),
        ("https://app.example.com:99999/", "address with a host"),
        ("https://app.example.com/\r\nHost: evil", "address with a host"),
        ("https://app.example.com/ä", "address with a host"),
        ("https://user:pass@app.example.com/", "user name"),
        ("https://app.example.com/#part", "fragment"),
    ],
)
def test_addresses_that_are_refused(url: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text) as refused:
        settings(hooks=url)
    assert "pass@" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"hooks_secret": None}, "openssl rand"),
        ({"hooks": None}, "hooks_secret needs hooks"),
        ({"hooks_secret": "secret"}, "whsec_"),
        ({"hooks_events": ("connect", "login")}, "'login'"),
        ({"hooks_events": ()}, "at least one event"),
        ({"hooks_headers": ("host",)}, "'host'"),
        ({"hooks_headers": ("Content-Length",)}, "'Content-Length'"),
        ({"hooks_headers": ("webhook-id",)}, "'webhook-id'"),
        ({"hooks_headers": ("a: b\r\nc",)}, "hooks_headers"),
        ({"hooks_away": "maybe"}, "deny or allow"),
        ({"origins": ("*",)}, "name the origins"),
    ],
)
def test_other_settings_that_are_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        settings(**given)


def test_an_app_that_says_who_connects_is_enough_to_listen_everywhere() -> None:
    assert not settings(host="0.0.0.0").allow_guests
    assert not settings().allow_guests
    assert settings(hooks_events=("post",)).allow_guests
    assert settings(hooks_events=("post",), origins=("*",)).origins == ("*",)
    with pytest.raises(SettingsError, match="check tokens"):
        settings(host="0.0.0.0", hooks_events=("post",))


def test_the_secret_and_the_query_are_not_shown() -> None:
    shown = repr(settings(hooks=URL + "?key=hidden"))
    assert SECRET not in shown
    assert "hidden" not in shown
    assert URL in shown
