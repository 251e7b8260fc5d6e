"""The settings of a hub."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.errors import SettingsError
from hubbub.hub.hub_settings import hub_settings
from support.clients import SECRET


def test_guests_and_the_demo_page_are_off() -> None:
    settings = hub_settings({})
    assert not settings.allow_guests
    assert not settings.demo
    assert hub_settings({"guests": True, "demo": False}).allow_guests


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"host": "0.0.0.0"}, "uvicorn --host"),
        ({"port": 9000}, "uvicorn --port"),
        ({"workers": 2}, "gunicorn -w"),
        ({"hooks": "https://app.example.com/"}, "@hub.on_connect"),
        ({"hooks_away": "allow"}, "@hub.on_connect"),
        ({"histroy_age": 1}, "did you mean history_age"),
        ({"absence": 1}, "restart_grace"),
        ({"demo": True}, "run hubbub serve"),
        ({"xyzzy": 1}, "docs/settings.md"),
        ({"origins": "https://example.com"}, r"origins=\('https://example.com',\)"),
        ({"max_page": 0}, "max_page must be at least 1"),
    ],
)
def test_errors_say_what_to_do(given: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        hub_settings(given)


def test_a_list_of_origins_will_do() -> None:
    assert hub_settings({"secret": SECRET, "origins": ["https://example.com"]}).origins == ("https://example.com",)
