"""The sockets that a server process listens on, and how many connections it may have."""

from __future__ import annotations

import socket
import sys

from hubbub.errors import SettingsError

if sys.platform != "win32":
    import resource

BACKLOG = 4096
"""Connections that the kernel queues for each listener before we accept them; the default maximum of Linux."""

LISTENERS = 8
"""Sockets that listen on the port, each with its own backlog. When 10,000 clients reconnect at once, a single backlog
overflows, and the kernel lets the others retry after 1, 3 and 7 seconds: all at once again each time."""

UNSENT = 65_536
"""Bytes for a slow connection that the kernel buffers; further ones wait, and are counted, in our own queue."""

SPARE_FILES = 96
"""Open files that are reserved for the process itself: loop, listeners, logs, key set, backend, and refusals."""


def most_connections() -> int:
    """Return how many connections the limit of open files allows."""
    if sys.platform == "win32":  # there is no such limit
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)


def reserve_port(host: str, port: int) -> socket.socket:
    """Return a bound socket that does not listen; it reserves the address, so that only our workers can listen there.

    Raises:
        SettingsError: The address is in use or not available.
    """
    first = _bind(host, port)
    # Set after binding: with it set before, binding could succeed where another program listens.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return first


def listen(host: str, port: int, *, workers: int | str = 1) -> list[socket.socket]:
    """Return the sockets that listen on an address.

    Args:
        host: The address.
        port: The port; 0 lets the system choose one.
        workers: How many processes listen on the port, or "auto"; the parent of several has reserved it.

    Raises:
        SettingsError: The address is in use or not available.
    """
    if workers != 1:  # their parent has reserved the port
        first = _bind(host, port, shared=True)
    elif sys.platform != "linux":  # elsewhere the sockets would not share new connections
        return [_bind(host, port)]
    else:
        first = reserve_port(host, port)
    port = first.getsockname()[1]
    return [first, *(_bind(host, port, shared=True) for _ in range(LISTENERS - 1))]


def _bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY on accepted sockets only if the protocol is named; else small answers wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sys.platform == "linux":  # accepted sockets inherit this; elsewhere the kernel's buffers add to our limit
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def url(listener: socket.socket) -> str:
    """Return the address of a socket that listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
