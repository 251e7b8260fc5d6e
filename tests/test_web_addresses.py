"""Origins, the public URL and the URL of the key set: what is accepted, and what is refused with which text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import SettingsError
from hubbub.settings import Settings


@pytest.mark.parametrize("url", ["https://keys.example", "http://127.0.0.1:9/jwks?x=1", "HTTPS://keys.example/"])
def test_key_set_urls(url: str) -> None:
    assert Settings(jwks_url=url).has_keys


@pytest.mark.parametrize(
    "url",
    [
        "",
        "keys.example",
        "file:///etc/passwd",
        "ftp://keys.example",
        "https://",
        "https:///jwks",
        "https://[",
        "https://keys.example:port",
        "https://keys.example:65536",
        "https://user:hidden@keys.example",
        "https://hidden@keys.example",
    ],
)
def test_bad_key_set_urls(url: str) -> None:
    with pytest.raises(SettingsError, match="jwks_url must") as caught:
        Settings(jwks_url=url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://example.com", "http://localhost:3000", "http://[::1]:8080", "https://xn--bcher-kva.example"],
)
def test_origins(origin: str) -> None:
    assert Settings(origins=(origin,)).origins == (origin,)


@pytest.mark.parametrize(
    ("origin", "corrected"),
    [
        ("http://localhost:5173/", "http://localhost:5173"),
        ("https://Example.com:443/page?x#y", "https://example.com"),
        ("https://user:hidden@example.com", "https://example.com"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
    ],
)
def test_the_error_shows_the_corrected_origin(origin: str, corrected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(origins=(origin,))
    assert str(caught.value).endswith(f". Write {corrected}")
    assert Settings(origins=(corrected,)).origins == (corrected,)


@pytest.mark.parametrize("origin", ["null", "example.com", "https://bücher.example", "file:///page.html"])
def test_an_origin_that_cannot_be_corrected(origin: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(origins=(origin,))
    assert "Write" not in str(caught.value)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "example.com",
        "https://",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?",
        "https://example.com#",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:",
        "https://example.com:0443",
        "https://example.com:port",
        "https://Example.com",
        "HTTPS://example.com",
        "https://user@example.com",
        "https://bücher.example",
        "https://exam\nple.com",
        " https://example.com",
        "https://[",
        "wss://example.com",
        "file:///page.html",
    ],
)
def test_origins_that_no_browser_sends(origin: str) -> None:
    with pytest.raises(SettingsError, match="origins must look like"):
        Settings(origins=("https://good.example", origin))


@given(st.text())
def test_no_origin_and_no_url_is_anything_but_accepted_or_a_settings_error(text: str) -> None:
    for options in ({"origins": (text,)}, {"jwks_url": text}, {"origins": (f"https://{text}",)}):
        try:
            Settings(**options)
        except SettingsError:
            continue


@pytest.mark.parametrize("url", ["https://example.com", "http://localhost:8000"])
def test_public_urls(url: str) -> None:
    assert Settings(public_url=url).public_url == url
    for wrong in (f"{url}/", f"{url}/chat", url.upper(), "*"):
        with pytest.raises(SettingsError, match=r"public_url must look like .* no trailing slash"):
            Settings(public_url=wrong)
