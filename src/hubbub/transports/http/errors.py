"""Answers of the HTTP API: JSON, and errors in the one shape that the WebSocket has as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hubbub.errors import HTTP_STATUS, CommandError, ErrorCode

INTERNAL = CommandError(ErrorCode.INTERNAL, "Something went wrong in the server; its log has the details.")


class ErrorDetail(msgspec.Struct):
    """What went wrong: a code for programs, a sentence that names the field and the limit for people."""

    code: ErrorCode
    message: str


class Error(msgspec.Struct):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class HttpError(CommandError):
    """An error that only HTTP has, with a status of its own.

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


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `content` as JSON. Nothing here may be kept by caches: who asks decides what is seen."""
    body = msgspec.json.encode(content)
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def error_answer(error: CommandError) -> Response:
    """Return the answer that says why a request was refused."""
    status = error.status if isinstance(error, HttpError) else HTTP_STATUS[error.code]
    headers = dict(error.headers) if isinstance(error, HttpError) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 6750, section 3
    elif status == 503:
        headers["Retry-After"] = "5"
    return answer(Error(ErrorDetail(error.code, error.message)), status, headers)


async def on_command_error(_request: Request, error: Exception) -> Response:
    """Answer what was refused on purpose."""
    assert isinstance(error, CommandError)
    return error_answer(error)


async def on_routing_error(_request: Request, error: Exception) -> Response:
    """Answer what Starlette's router refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
        text = f"This path answers to {headers['Allow']} only."
    else:
        text = "There is nothing at this path; /openapi.json says what there is."
    return error_answer(HttpError(error.status_code, ErrorCode.INVALID_REQUEST, text, headers))
