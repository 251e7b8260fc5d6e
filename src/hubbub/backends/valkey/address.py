"""Where the store is: a URL, checked and taken apart. Pure."""

from __future__ import annotations

import ssl
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from hubbub.errors import SettingsError

PORT = 6379
_SCHEMES = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}


class Address(NamedTuple):
    """What it takes to open a connection. `tls` is None for plain TCP."""

    host: str
    port: int
    user: str | None
    password: str | None
    database: int
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        """Return host and port; this is what may be logged."""
        return f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Take ``valkey://[user:password@]host[:port][/database]`` apart; ``valkeys`` and ``rediss`` mean TLS.

    Raises:
        SettingsError: It is not such a URL. The text does not repeat it: it may hold a password.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in _SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(
            'backend must be "memory" or look like valkey://host:6379 or rediss://user:password@host:6379/0'
        )
    database = parts.path.removeprefix("/") or "0"
    if not (database.isascii() and database.isdigit()):
        raise SettingsError("backend: what follows the host and port must be the number of a database")
    return Address(
        parts.hostname,
        parts.port or PORT,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        int(database),
        ssl.create_default_context() if _SCHEMES[parts.scheme] else None,
    )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises, unless it is a number up to 65535
    except ValueError:
        return None
    return parts
