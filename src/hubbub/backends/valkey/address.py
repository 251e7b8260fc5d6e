"""Parses and checks the URL of the store. Pure.

It may name several servers, ``valkey://one:6379,two:6379``: a primary and its replicas, or some servers of a cluster.
``valkey+unix:///run/valkey.sock`` is a Unix socket of this machine.
"""

from __future__ import annotations

import os
import ssl
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from hubbub.errors import SettingsError

PORT = 6379
_SCHEMES = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}
_UNIX_SCHEMES = frozenset({"valkey+unix", "redis+unix"})

MAX_SOCKET_PATH = 103
"""Most bytes of the path of a Unix socket: ``sun_path`` has room for 104 with the final NUL, on Linux for 108."""


class Address(NamedTuple):
    """What is needed to open a connection. `tls` is None for plain TCP; `others` are further servers.

    The `host` of a Unix socket is its absolute path, and its `port` is 0.
    """

    host: str
    port: int
    user: str | None
    password: str | None
    database: int
    tls: ssl.SSLContext | None
    others: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        """Return hosts and ports, without the password, so it can be logged."""
        return self.host if self.unix else ", ".join(f"{host}:{port}" for host, port in self.servers())

    @property
    def unix(self) -> bool:
        """Whether this is a Unix socket."""
        return self.host.startswith("/")

    def servers(self) -> list[tuple[str, int]]:
        """Return host and port of each server."""
        return [(self.host, self.port), *self.others]

    def at(self, host: str, port: int) -> Address:
        """Return the address of one server, with the same user, password and TLS."""
        return self._replace(host=host, port=port, others=())


def parse_address(url: str) -> Address:
    """Parse ``valkey://[user:password@]host[:port][,host[:port]...][/database]``, or ``valkey+unix://`` and a path.

    ``valkeys`` and ``rediss`` mean TLS. ``valkey+unix://[user:password@]/path[?db=database]`` is a Unix socket; in its
    path, ``?`` and ``%`` are written as ``%3F`` and ``%25``.

    Raises:
        SettingsError: It is not such a URL. The text does not repeat the URL, which may hold a password.
    """
    # Not by `urlsplit`, which knows no lists: newer Pythons refuse a list that contains an IPv6 address.
    scheme, _, rest = url.partition("://")
    network, _, path = rest.partition("/")
    login, _, hosts = network.rpartition("@")
    user, _, password = login.partition(":")
    if scheme.lower() in _UNIX_SCHEMES:
        if hosts:
            raise SettingsError(
                "backend: the path of a Unix socket begins with /, as in valkey+unix:///run/valkey.sock"
            )
        name, _, database = path.partition("?db=")
        path = _socket_path(f"/{name}")
        return Address(path, 0, unquote(user) or None, unquote(password) or None, _database(database, "?db=2"), None)
    if scheme.lower() not in _SCHEMES:
        raise _not_an_address()
    (host, port), *others = [_server(each) for each in hosts.split(",")]
    return Address(
        host,
        port,
        unquote(user) or None,
        unquote(password) or None,
        _database(path, "valkey://host:6379/2"),
        ssl.create_default_context() if _SCHEMES[scheme.lower()] else None,
        tuple(others),
    )


def _database(text: str, example: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise SettingsError(
            f"backend: after the server's address there may only be the number of a database, as in {example}"
        )
    return int(text or 0)


def _socket_path(text: str) -> str:
    path = unquote(text)
    if "\0" in path or "?" in text:
        raise SettingsError("backend: the path of the Unix socket has a NUL or an unencoded ?; write ? as %3F")
    if (length := len(os.fsencode(path))) > MAX_SOCKET_PATH:
        raise SettingsError(
            f"backend: the path of the Unix socket has {length} bytes; at most {MAX_SOCKET_PATH} are allowed"
        )
    return path


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
        'backend must be "memory" or look like valkey://host:6379, valkey://host:6379,other:6379, '
        "rediss://user:password@host:6379/0 or valkey+unix:///path/of/the/socket"
    )
