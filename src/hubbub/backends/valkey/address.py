"""Parses and checks the URL of the store. Pure.

It may name several servers, ``valkey://one:6379,two:6379``: a primary and its replicas, or some servers of a cluster.
"""

from __future__ import annotations

import ssl
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from hubbub.errors import SettingsError

PORT = 6379
_SCHEMES = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}


class Address(NamedTuple):
    """What is needed to open a connection. `tls` is None for plain TCP; `others` are further servers."""

    host: str
    port: int
    user: str | None
    password: str | None
    database: int
    tls: ssl.SSLContext | None
    others: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        """Return hosts and ports, without the password, so it can be logged."""
        return ", ".join(f"{host}:{port}" for host, port in self.servers())

    def servers(self) -> list[tuple[str, int]]:
        """Return host and port of each server."""
        return [(self.host, self.port), *self.others]

    def at(self, host: str, port: int) -> Address:
        """Return the address of one server, with the same user, password and TLS."""
        return self._replace(host=host, port=port, others=())


def parse_address(url: str) -> Address:
    """Parse ``valkey://[user:password@]host[:port][,host[:port]...][/database]``.

    ``valkeys`` and ``rediss`` mean TLS.

    Raises:
        SettingsError: It is not such a URL. The text does not repeat the URL, which may hold a password.
    """
    # Not by `urlsplit`, which knows no lists: newer Pythons refuse a list that contains an IPv6 address.
    scheme, _, rest = url.partition("://")
    network, _, path = rest.partition("/")
    if scheme.lower() not in _SCHEMES:
        raise _not_an_address()
    login, _, hosts = network.rpartition("@")
    user, _, password = login.partition(":")
    (host, port), *others = [_server(each) for each in hosts.split(",")]
    database = path or "0"
    if not (database.isascii() and database.isdigit()):
        raise SettingsError(
            "backend: after host and port there may only be the number of a database, as in valkey://host:6379/2"
        )
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
