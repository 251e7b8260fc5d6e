"""What the head of an HTTP request may look like: its size, its ``Host``, and the form of an upgrade. Pure.

A proxy in front of the server might understand a request that fails these checks in another way than we do.
"""

from __future__ import annotations

from collections.abc import Sequence

from hubbub.errors import ErrorCode
from hubbub.transports.hosts import host_name
from hubbub.transports.refusal import HttpError

MAX_HEAD = 32_768
"""Most bytes of request line and headers together; more is answered with 431 (RFC 6585, section 5)."""

HEAD_TOO_LARGE = HttpError(
    431,
    ErrorCode.TOO_LARGE,
    f"The head of the request is larger than {MAX_HEAD} bytes. Send a shorter address, or fewer or shorter headers.",
)


def _invalid(message: str) -> HttpError:
    return HttpError(400, ErrorCode.INVALID_REQUEST, message)


INVALID_HTTP = _invalid("This is not a valid HTTP/1.1 request. Check its first line and its headers.")
_HOST_COUNT = _invalid('A request needs exactly one "Host" header. Send one, with the host and port of the address.')
_HOST_VALUE = _invalid('The value of the "Host" header is not valid. Send a host and port like "chat.example:8000".')
_OLD_UPGRADE = _invalid("A WebSocket cannot be opened with HTTP/1.0. Send the request as HTTP/1.1.")
_UPGRADE_WITH_BODY = _invalid("A request that opens a WebSocket must not have a body. Send it without one.")


def problem_with_head(
    url: bytes, headers: Sequence[tuple[bytes, bytes]], version: str, *, upgrade: bool
) -> HttpError | None:
    """Return why the head of a request is refused, or None.

    Args:
        url: The target of the request.
        headers: Names, in lower case, and values.
        version: The version of HTTP, such as ``"1.1"``.
        upgrade: Whether the request asks for a WebSocket.
    """
    if len(url) + sum(len(name) + len(value) + 4 for name, value in headers) > MAX_HEAD:
        return HEAD_TOO_LARGE
    return _problem_with_host(headers, version) or (_problem_with_upgrade(headers, version) if upgrade else None)


def _problem_with_host(headers: Sequence[tuple[bytes, bytes]], version: str) -> HttpError | None:
    """Check the ``Host`` (RFC 9112, section 3.2). Only HTTP/1.0 may leave it out."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return None if version == "1.0" and not hosts else _HOST_COUNT
    return _HOST_VALUE if host_name(hosts[0].decode("latin-1")) is None else None


def _problem_with_upgrade(headers: Sequence[tuple[bytes, bytes]], version: str) -> HttpError | None:
    """Check a request for a WebSocket (RFC 6455, section 4.1)."""
    if version == "1.0":
        return _OLD_UPGRADE
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
            return _UPGRADE_WITH_BODY
    return None
