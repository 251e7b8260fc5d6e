"""When to reconnect, and after how long: the rules that all clients share (``tests/vectors``). Pure functions."""

from __future__ import annotations

import ipaddress
import math
from urllib.parse import urlsplit

from hubbub.errors import CLOSE_RULES, Close, ErrorCode, invalid

BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
"""Seconds: the upper limit of the first delay, and of all delays."""
STABLE_AFTER = 5.0
"""Seconds; after a connection that lasted this long, backoff starts again."""
ABNORMAL = 1006
"""RFC 6455, section 7.1.5: the code of a connection that ended without a close frame, or was never made."""

_FINAL = {int(code) for code, rule in CLOSE_RULES.items() if not rule.reconnect}
_TEMPORARY = {ErrorCode.UNAVAILABLE, ErrorCode.RATE_LIMITED, ErrorCode.INTERNAL}
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_REFRESH_SHARE, _REFRESH_LEAD, _REFRESH_CAP = 0.8, 60.0, 2_000_000.0  # timers cannot wait longer than 24 days
_ENDPOINT = "/v1/connect"


def backoff(attempt: int, random: float) -> float:
    """Return the seconds before retry number `attempt`, counted from 0.

    Full jitter, so that clients do not all reconnect at once. `random` is a number from 0 to 1.
    """
    return random * min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(attempt, 10))


def is_temporary(code: int | str) -> bool:
    """Return whether the same request may succeed later."""
    return code in _TEMPORARY


def should_reconnect(code: int | str, *, renewable: bool) -> bool:
    """Return whether to reconnect after a connection ended, or was refused, with `code`.

    Args:
        code: A close code, or the error code of the refusal. Unknown close codes: yes.
        renewable: Whether the next attempt brings a new token.
    """
    if isinstance(code, int):
        return code not in _FINAL
    return is_temporary(code) or (code == ErrorCode.UNAUTHORIZED and renewable)


def retry_delay(code: int | str, attempt: int, random: float, restart_after: float | None = None) -> float:
    """Return the seconds to wait before retry number `attempt`, counted from 0, after an end with `code`.

    The first time after a stable connection: `restart_after`, what the server said in its restart notice, if it sent
    one, because it spreads its clients over time; or 0 when only a new token is needed. Otherwise `backoff`, and no
    less than what the server said, so a server that keeps restarting is reconnected to no faster than one that does not
    answer.
    """
    least = None
    if restart_after is not None and math.isfinite(restart_after):
        least = min(max(restart_after, 0.0), BACKOFF_CAP)
    if attempt == 0 and least is not None:
        return least
    if attempt == 0 and code == Close.TOKEN_EXPIRED:
        return 0.0
    return max(backoff(attempt, random), least or 0.0)


def refresh_in(expires: float | None, now: float) -> float | None:
    """Return the seconds until a new token should be fetched.

    That is a minute before the old one expires, or after four fifths of a lifetime under five minutes.

    Args:
        expires: When the token expires, Unix time in seconds; None for never.
        now: Unix time in seconds.

    Returns:
        None when there is nothing to do: it never expires, or it expires within a second, or by this machine's clock it
        has expired. Then the server's close (4002) decides.
    """
    if expires is None or expires - now <= 1:
        return None
    left = expires - now
    return min(max(left * _REFRESH_SHARE, left - _REFRESH_LEAD), _REFRESH_CAP)


def socket_url(url: str) -> str:
    """Return the WebSocket address of the server at `url`; a path before ``/v1/connect`` is kept.

    Raises:
        CommandError: ``INVALID_PARAMETER``: `url` is not the address of a server.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises, unless it is a number up to 65535
    except ValueError as error:
        raise invalid(f'"{url}" is not a URL: {error}.') from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise invalid(f'"{url}" is not a URL that starts with http://, https://, ws:// or wss:// and a host.')
    path = parts.path if parts.path.endswith(_ENDPOINT) else parts.path.rstrip("/") + _ENDPOINT
    return parts._replace(scheme=scheme, path=path, fragment="").geturl()


def http_url(url: str) -> str:
    """Return the base address for HTTP requests to the server at `url`, without a trailing slash.

    Raises:
        CommandError: ``INVALID_PARAMETER``: `url` is not the address of a server.
    """
    parts = urlsplit(socket_url(url))
    path = parts.path.removesuffix(_ENDPOINT)
    return parts._replace(scheme=parts.scheme.replace("ws", "http"), path=path, query="", fragment="").geturl()


def is_loopback(url: str) -> bool:
    """Return whether the host of `url` is this machine, which no proxy can reach for us."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
