"""The upgrade request of a WebSocket and its answer (RFC 6455, section 4.2): path, token, origin, subprotocols. Pure.

A request is refused before the upgrade, with an HTTP status and the JSON body that all errors have.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from websockets.utils import accept_key

from hubbub.errors import ErrorCode
from hubbub.transports.hosts import is_local, not_local, split_url
from hubbub.transports.origins import is_allowed
from hubbub.transports.refusal import HttpError


class Handshake(NamedTuple):
    """A valid request to open a WebSocket."""

    path: str
    """Without the query string, below the path at which a hub is mounted."""
    token: str | None
    """From the ``Authorization`` header or ``?token=``."""
    subprotocols: list[str]
    """Those that the client offers, in its order."""
    accept: str
    """The answer to the client's key."""
    refused_origin: str | None
    """The origin of the page, if pages of that origin may not connect."""


def parse(
    request: bytes, origins: tuple[str, ...], *, local_only: bool = False, local_pages: bool | None = None
) -> Handshake:
    """Check the head of an upgrade request, ending with the empty line.

    A page of another origin is not an error here, since browsers do not show the answer to a refused handshake: see
    `hubbub.transports.websocket.refused_page`.

    Args:
        request: Request line and headers, names in lower case.
        origins: Web origins that may connect besides the server's own; ``"*"`` for all.
        local_only: Whether the ``Host`` must be this machine (see `is_local`).
        local_pages: Whether pages of this machine may connect, on whichever port; None: as `local_only`.

    Raises:
        HttpError: It is not a valid WebSocket handshake, or its host is not allowed.
    """
    method, target, lines = read_head(request)
    headers = _join(lines)
    accept = check_upgrade(method, headers)
    url = split_url(target, "address")
    local = local_only if local_pages is None else local_pages
    return _check_access(url.path, url.query, headers, accept, origins, local_only=local_only, local_pages=local)


def parse_scope(
    scope: Mapping[str, Any],
    path: str,
    origins: tuple[str, ...],
    *,
    local_only: bool,
    local_pages: bool,
    upgrade: bool,
    hosts: frozenset[str] = frozenset(),
) -> Handshake:
    """Check the ASGI scope of a WebSocket, as `parse` checks a request.

    Args:
        scope: The scope that the app got, after its middleware.
        path: The path below the one at which the hub is mounted, not decoded.
        origins: As for `parse`.
        local_only: Whether the ``Host`` must be this machine.
        local_pages: Whether pages of this machine may connect.
        hosts: What ``Host`` may be besides this machine.
        upgrade: Whether the upgrade is checked and answered here, and not by the server that made the scope.

    Raises:
        HttpError: As `parse`.
    """
    headers = _join(
        (name.decode("latin-1").lower(), value.decode("latin-1").strip()) for name, value in scope["headers"]
    )
    accept = check_upgrade("GET", headers) if upgrade else ""
    query = scope["query_string"].decode("latin-1")
    local = local_only and headers.get("host", "").lower() not in hosts
    return _check_access(path, query, headers, accept, origins, local_only=local, local_pages=local_pages)


def read_head(request: bytes) -> tuple[str, str, list[tuple[str, str]]]:
    """Return the method, the target and the headers of a request that was parsed before, names in lower case."""
    line, _, rest = request.decode("latin-1").partition("\r\n")
    method, target, _version = line.split(" ", 2)
    headers = [header.partition(":")[::2] for header in rest.split("\r\n") if ":" in header]
    return method, target, [(name, value.strip()) for name, value in headers]


def check_upgrade(method: str, headers: Mapping[str, str]) -> str:
    """Return the answer to the client's key. Raises `HttpError` if this is no valid request for a WebSocket."""
    if method != "GET":
        text = f"The method is {method}. Open a WebSocket with GET."
        raise HttpError(405, ErrorCode.INVALID_REQUEST, text, {"Allow": "GET"})
    if headers.get("sec-websocket-version") != "13":
        text = 'The server speaks version 13 of the WebSocket protocol only. Send "Sec-WebSocket-Version: 13".'
        raise HttpError(426, ErrorCode.INVALID_REQUEST, text, {"Sec-WebSocket-Version": "13"})
    key = headers.get("sec-websocket-key", "")
    if not _is_key(key):
        text = '"Sec-WebSocket-Key" is missing or invalid. Send 16 random bytes in base64.'
        raise HttpError(400, ErrorCode.INVALID_REQUEST, text)
    return accept_key(key)


def _check_access(
    path: str,
    query: str,
    headers: Mapping[str, str],
    accept: str,
    origins: tuple[str, ...],
    *,
    local_only: bool,
    local_pages: bool,
) -> Handshake:
    host = headers.get("host", "")
    if local_only and not is_local(host):
        raise not_local()
    origin = headers.get("origin")  # programs send none
    allowed = origin is None or is_allowed(origin, host, origins, local=local_pages)
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",") if name.strip()]
    token = _token(headers.get("authorization"), query)
    return Handshake(path, token, offered, accept, None if allowed else origin)


def _join(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in lines:
        # RFC 6455, section 11.3.4: the subprotocols may be spread over several lines.
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def response(handshake: Handshake, subprotocol: str | None) -> bytes:
    """Return the 101 answer; `subprotocol` is named only if the client offered it."""
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol in handshake.subprotocols else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {handshake.accept}\r\n{chosen}\r\n"
    ).encode("latin-1")


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _token(authorization: str | None, query: str) -> str | None:
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    # Only this parameter is decoded: a request line of 32 KiB may hold 16,000 others.
    given = [pair for pair in query.split("&") if pair.startswith("token=")]
    return unquote_plus(given[-1].removeprefix("token=")) or None if given else None
