"""The opening handshake as the ``HTTPConnection`` that ``on_connect`` gets, where no ASGI server has made a scope."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from starlette.requests import HTTPConnection


def handshake_connection(request: bytes, transport: asyncio.BaseTransport) -> HTTPConnection:
    """Return a handshake with its headers, cookies, query and peer.

    Args:
        request: Request line and headers, which `hubbub.transports.websocket.handshake.parse` has checked.
        transport: The connection; tells the addresses of both ends, and whether it is encrypted.
    """
    line, _, rest = request.partition(b"\r\n")
    target = line.split(b" ", 2)[1]
    path, _, query = target.partition(b"?")
    headers = [
        (name.strip().lower(), value.strip())
        for name, colon, value in (h.partition(b":") for h in rest.split(b"\r\n"))
        if colon
    ]
    scope: dict[str, Any] = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "wss" if transport.get_extra_info("sslcontext") else "ws",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": _address(transport.get_extra_info("peername")),
        "server": _address(transport.get_extra_info("sockname")),
        "subprotocols": [],
        "state": {},
    }
    return HTTPConnection(scope)


def _address(name: object) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) and len(name) >= 2 else None
