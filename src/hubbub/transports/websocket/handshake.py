"""The upgrade request of a WebSocket and its answer (RFC 6455, section 4.2): path, token, origin, subprotocols. Pure.

A request is refused before the upgrade, with an HTTP status and the JSON body that all errors have.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple
from urllib.parse import unquote_plus

from websockets.utils import accept_key

from hubbub.errors import ErrorCode
from hubbub.transports.hosts import is_local, not_local, split_url
from hubbub.transports.origins import is_allowed
from hubbub.transports.refusal import HttpError


class Handshake(NamedTuple):
    """A valid request to open a WebSocket."""

    path: str
    """Without the query string."""
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
    line, _, rest = request.decode("latin-1").partition("\r\n")
    method, target, _version = line.split(" ", 2)
    headers: dict[str, str] = {}
    for header in rest.split("\r\n"):
        name, colon, value = header.partition(":")
        if colon:
            value = value.strip()
            # RFC 6455, section 11.3.4: the subprotocols may be spread over several lines.
            headers[name] = f"{headers[name]},{value}" if name in headers else value
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
    if local_only and not is_local(headers.get("host", "")):
        raise not_local()
    local = local_only if local_pages is None else local_pages
    origin = headers.get("origin")  # programs send none
    allowed = origin is None or is_allowed(origin, headers.get("host", ""), origins, local=local)
    url = split_url(target, "address")
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",") if name.strip()]
    token = _token(headers.get("authorization"), url.query)
    return Handshake(url.path, token, offered, accept_key(key), None if allowed else origin)


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
