"""The opening handshake of a WebSocket (RFC 6455, section 4.2): who asks, for which dialect, from which page. Pure.

What is refused is refused before the upgrade, with an HTTP status and the same JSON body as everywhere else.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote_plus, urlsplit

import msgspec
from websockets.utils import accept_key

from hubbub.errors import HTTP_STATUS, CommandError, ErrorCode

_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d*)?|\[[0-9A-Fa-f:.]+\](?::\d*)?")

_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


LOCAL_ONLY = "While guests are let in, the server answers to localhost and loopback addresses only: use one of these."


class Refused(Exception):  # noqa: N818
    """The handshake fails with this HTTP status; `message` tells the person who wrote the client why."""

    def __init__(self, status: int, code: ErrorCode, message: str, header: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.header = header


class Handshake(NamedTuple):
    """A request to open a WebSocket that is in order."""

    path: str
    """Without the query string."""
    token: str | None
    """From the ``Authorization`` header or ``?token=``."""
    subprotocols: list[str]
    """What the client offers, in its order."""
    accept: str
    """The answer to its key."""


def parse(request: bytes, origins: tuple[str, ...], *, local_only: bool = False) -> Handshake:
    """Check the head of an upgrade request, ending with the empty line.

    Args:
        request: Request line and headers, names in lower case.
        origins: Web origins that may connect besides the server's own; ``"*"`` for all.
        local_only: Whether the ``Host`` must be this machine: see `is_local`.

    Raises:
        Refused: It is not a valid WebSocket handshake, or its origin or host is not allowed.
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
        raise Refused(405, ErrorCode.INVALID_REQUEST, "A WebSocket is opened with GET.", "Allow: GET\r\n")
    if headers.get("sec-websocket-version") != "13":
        text = "Only version 13 of the WebSocket protocol is spoken here."
        raise Refused(426, ErrorCode.INVALID_REQUEST, text, "Sec-WebSocket-Version: 13\r\n")
    key = headers.get("sec-websocket-key", "")
    if not _is_key(key):
        raise Refused(400, ErrorCode.INVALID_REQUEST, '"Sec-WebSocket-Key" must be 16 bytes in base64.')
    if local_only and not is_local(headers.get("host", "")):
        raise Refused(403, ErrorCode.FORBIDDEN, LOCAL_ONLY)
    _check_origin(headers.get("origin"), headers.get("host", ""), origins)
    url = _split(target)
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",") if name.strip()]
    return Handshake(url.path, _token(headers.get("authorization"), url.query), offered, accept_key(key))


def is_local(host: str) -> bool:
    """Whether a ``Host`` header names this machine, as all do that come from its own browsers.

    Asked while guests are let in. A web page may give its own domain the address 127.0.0.1 (DNS rebinding) and so be of
    our origin; its requests still carry its name. Programs may leave the header out; browsers never do.
    """
    name = urlsplit(f"//{host}").hostname or "" if _HOST.fullmatch(host) else host
    if name in {"", "localhost"} or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def response(handshake: Handshake, subprotocol: str | None) -> bytes:
    """Return the 101 answer; `subprotocol` is named only if the client offered it."""
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol in handshake.subprotocols else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {handshake.accept}\r\n{chosen}\r\n"
    ).encode("latin-1")


def refusal(refused: Refused | CommandError) -> bytes:
    """Return the HTTP answer to a handshake that fails; the connection ends with it."""
    status = refused.status if isinstance(refused, Refused) else HTTP_STATUS[refused.code]
    header = refused.header if isinstance(refused, Refused) else ""
    body = msgspec.json.encode({"error": {"code": refused.code, "message": refused.message}})
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n{header}\r\n"
    )
    return head.encode("latin-1") + body


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # such as brackets that hold no IPv6 address
        raise Refused(400, ErrorCode.INVALID_REQUEST, f"Not a URL: {error}.") from None


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _check_origin(origin: str | None, host: str, origins: tuple[str, ...]) -> None:
    """Let the server's own pages, the configured origins and programs (which send no origin) through.

    Scheme and port of the public address may differ from ours behind a proxy, so "own" compares with ``Host`` only.
    """
    if origin is None or "*" in origins or origin in origins:
        return
    if host and _split(origin).netloc.lower() == host.lower():
        return
    text = f'The origin "{origin[:100]}" is not allowed; the server\'s --origins names those that are.'
    raise Refused(403, ErrorCode.FORBIDDEN, text)


def _token(authorization: str | None, query: str) -> str | None:
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    # Only what is looked for is decoded: a request line of 32 KiB may hold 16,000 other parameters.
    given = [pair for pair in query.split("&") if pair.startswith("token=")]
    return unquote_plus(given[-1].removeprefix("token=")) or None if given else None
