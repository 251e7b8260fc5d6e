"""Checks of the settings that are web addresses: origins, the public URL and the URL of the key set."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from hubbub.errors import SettingsError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN_RULE = "scheme and host only, lower case and ASCII, no path, no trailing slash, no default port (80, 443)"


def check_jwks_url(url: str) -> None:
    """Check the URL of a key set. The error does not repeat the URL, because it may contain a password."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        raise SettingsError("jwks_url must be an https:// or http:// address with a host")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("jwks_url must not contain a user name or password: key sets are public")


def check_public_url(url: str) -> None:
    """Check that `url` is written as browsers write an origin."""
    if not is_origin(url):
        raise SettingsError(
            f'public_url must look like "https://example.com" or "http://localhost:8000": {_ORIGIN_RULE}; not {url!r}'
        )


def check_origin(origin: str) -> None:
    """Refuse what can never equal an ``Origin`` header; RFC 6454, section 6.2, leaves one way to write an origin."""
    if origin != "*" and not is_origin(origin):
        parts = _split(origin)
        corrected = None if parts is None else _origin(parts)
        raise SettingsError(
            f'origins must look like "https://example.com" or "http://localhost:3000": {_ORIGIN_RULE}; not {origin!r}'
            + ("" if corrected is None else f". Write {corrected}")
        )


def is_origin(url: str) -> bool:
    """Return whether `url` is written as browsers write the origin of a page on a web server."""
    parts = _split(url)
    return parts is not None and url == _origin(parts)


def _origin(parts: SplitResult) -> str | None:
    """Return the origin of a URL as browsers write it, or None if browsers would never send it."""
    host = parts.hostname
    if not host or not host.isascii():
        return None
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


def _split(url: str) -> SplitResult | None:
    """Split an http or https URL into its parts; return None if it is not one."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises, unless it is a number up to 65535
    except ValueError:
        return None
    return parts if parts.scheme in _DEFAULT_PORTS else None
