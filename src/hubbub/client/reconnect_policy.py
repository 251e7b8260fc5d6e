"""When to come back and how long to wait: the rules that all clients share (``tests/vectors``). Pure functions."""

from __future__ import annotations

import ipaddress
import math
from urllib.parse import urlsplit

from hubbub.errors import CLOSE_RULES, Close, ErrorCode, invalid

BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
"""Seconds: the longest possible first wait, and the longest of all."""
STEADY = 5.0
"""Seconds; a connection that lived this long makes the next retry a quick one again."""
ABNORMAL = 1006
"""RFC 6455, section 7.1.5: the code of a connection that ended without a close frame, or was never made."""

_FINAL = {int(code) for code, rule in CLOSE_RULES.items() if not rule.reconnect}
_TEMPORARY = {ErrorCode.UNAVAILABLE, ErrorCode.RATE_LIMITED, ErrorCode.INTERNAL}
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_REFRESH_SHARE, _REFRESH_LEAD, _REFRESH_CAP = 0.8, 60.0, 2_000_000.0  # timers cannot wait longer than 24 days
_ENDPOINT = "/v1/connect"


def backoff(attempt: int, random: float) -> float:
    """Return the seconds before retry number `attempt`, counted from 0.

    Full jitter: a restarted server is not stormed in step. `random` is a number from 0 to 1.
    """
    return random * min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(attempt, 10))


def is_temporary(code: int | str) -> bool:
    """Return whether an error code is one that waiting can cure."""
    return code in _TEMPORARY


def comes_back(code: int | str, *, renewable: bool) -> bool:
    """Return whether to connect again after a connection ended, or was refused, with `code`.

    Args:
        code: A close code, or the error code of the refusal. Unknown close codes: yes.
        renewable: Whether the next attempt brings a new token.
    """
    if isinstance(code, int):
        return code not in _FINAL
    return is_temporary(code) or (code == ErrorCode.UNAUTHORIZED and renewable)


def retry_delay(code: int | str, attempt: int, random: float, told: float | None = None) -> float:
    """Return the seconds to wait before retry number `attempt`, counted from 0, after an end with `code`.

    The first time after a steady connection: what the server said with its ``restart``, if it did, since it spreads the
    clients that it sends away; or nothing when all it takes is a new token. Otherwise `backoff`, and no less than what
    the server said: a server that sends clients away again and again is not connected to any faster than one that does
    not answer.
    """
    least = min(max(told, 0.0), BACKOFF_CAP) if told is not None and math.isfinite(told) else None
    if attempt == 0 and least is not None:
        return least
    if attempt == 0 and code == Close.TOKEN_EXPIRED:
        return 0.0
    return max(backoff(attempt, random), least or 0.0)


def refresh_in(expires: float | None, now: float) -> float | None:
    """Return the seconds until a new token should be asked for: a minute before the end, or after 4/5 of a short life.

    Args:
        expires: When the token ends, Unix time in seconds; None for never.
        now: Unix time in seconds.

    Returns:
        None when there is nothing to do: it never ends, or it ends at once or by this machine's clock has ended. Then
        the server's close (4002) decides.
    """
    if expires is None or expires - now <= 1:
        return None
    left = expires - now
    return min(max(left * _REFRESH_SHARE, left - _REFRESH_LEAD), _REFRESH_CAP)


def socket_url(url: str) -> str:
    """Return the address of the WebSocket that belongs to a server's address; a path before ``/v1/connect`` is kept.

    Raises:
        CommandError: ``INVALID_PARAMETER``, it is no address of a server.
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


def is_loopback(url: str) -> bool:
    """Return whether the host of `url` is this machine; no proxy can be of use then."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
