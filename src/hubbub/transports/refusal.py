"""How a request is refused over HTTP: the status, the headers and the JSON body. Pure.

The WebSocket handshake and the HTTP protocol write such an answer as bytes; the HTTP API makes a response of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from hubbub.errors import HTTP_STATUS, CommandError, ErrorCode

RETRY_AFTER = "5"
"""Seconds after which a client should try again what was refused with 503."""


class ErrorDetail(msgspec.Struct):
    """What went wrong: a code for programs, and a sentence for people that names the field and the limit."""

    code: ErrorCode
    message: str


class Error(msgspec.Struct):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class HttpError(CommandError):
    """An error with an HTTP status of its own.

    Args:
        status: The HTTP status, whatever `errors.HTTP_STATUS` says of `code`.
        code: One of `ErrorCode`.
        message: One sentence for the person who wrote the client.
        headers: Headers that go with the status.
    """

    def __init__(self, status: int, code: ErrorCode, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code, message)
        self.status = status
        self.headers = headers or {}


def server_full() -> CommandError:
    """Return the error for a connection, or for bytes to hold, beyond what the server accepts."""
    return CommandError(ErrorCode.UNAVAILABLE, "The server is full. Try again later.")


def status_and_headers(error: CommandError) -> tuple[int, dict[str, str]]:
    """Return the HTTP status of an error, and the headers that go with it."""
    status = error.status if isinstance(error, HttpError) else HTTP_STATUS[error.code]
    headers = dict(error.headers) if isinstance(error, HttpError) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 6750, section 3
    elif status == 503:
        headers["Retry-After"] = RETRY_AFTER
    return status, headers


def refusal_body(error: CommandError) -> bytes:
    """Return the JSON body of an answer that refuses a request."""
    return msgspec.json.encode(Error(ErrorDetail(error.code, error.message)))


def refusal(error: CommandError) -> bytes:
    """Return a whole HTTP answer that refuses a request and ends the connection."""
    status, headers = status_and_headers(error)
    body = refusal_body(error)
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode("latin-1") + body
