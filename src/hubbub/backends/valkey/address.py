"""Where the store is: a URL, checked and taken apart. Pure.

It may name several servers, ``valkey://one:6379,two:6379``: a primary with its replicas, or some of a cluster.
"""

from __future__ import annotations

import ssl
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from hubbub.errors import SettingsError

PORT = 6379
_SCHEMES = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}


class Address(NamedTuple):
    """What it takes to open a connection. `tls` is None for plain TCP; `others` are more servers to ask."""

    host: str
    port: int
    user: str | None
    password: str | None
    database: int
    tls: ssl.SSLContext | None
    others: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        """Return hosts and ports; this is what may be logged."""
        return ", ".join(f"{host}:{port}" for host, port in self.servers())

    def servers(self) -> list[tuple[str, int]]:
        """Return host and port of each server."""
        return [(self.host, self.port), *self.others]

    def at(self, host: str, port: int) -> Address:
        """Return the address of one server that takes the same password."""
        return self._replace(host=host, port=port, others=())


def parse_address(url: str) -> Address:
    """Take ``valkey://[user:password@]host[:port][,host[:port]...][/database]`` apart.

    ``valkeys`` and ``rediss`` mean TLS.

    Raises:
        SettingsError: It is not such a URL. The text does not repeat it: it may hold a password.
    """
    # By hand, for `urlsplit` knows no lists: newer Pythons refuse one with an IPv6 address in it.
    scheme, _, rest = url.partition("://")
    network, _, path = rest.partition("/")
    if scheme.lower() not in _SCHEMES:
        raise _not_an_address()
    login, _, hosts = network.rpartition("@")
    user, _, password = login.partition(":")
    (host, port), *others = [_server(each) for each in hosts.split(",")]
    database = path or "0"
    if not (database.isascii() and database.isdigit()):
        raise SettingsError("backend: what follows the host and port must be the number of a database")
    return Address(
        host,
        port,
        unquote(user) or None,
        unquote(password) or None,
        int(database),
        ssl.create_default_context() if _SCHEMES[scheme.lower()] else None,
        tuple(others),
    )


def _server(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port  # raises, unless it is a number up to 65535
    except ValueError:
        raise _not_an_address() from None
    if not parts.hostname or parts.netloc != text or "@" in text:
        raise _not_an_address()
    return parts.hostname, PORT if port is None else port


def _not_an_address() -> SettingsError:
    return SettingsError(
        'backend must be "memory" or look like valkey://host:6379, valkey://host:6379,other:6379 or '
        "rediss://user:password@host:6379/0"
    )
