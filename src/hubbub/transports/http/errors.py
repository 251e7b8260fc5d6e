"""Answers of the HTTP API: JSON, with errors in the same shape as on the WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hubbub.errors import CommandError, ErrorCode
from hubbub.transports.refusal import HttpError, refusal_body, status_and_headers

INTERNAL = CommandError(
    ErrorCode.INTERNAL, "Something went wrong in the server; its log has the details. Try again later."
)


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `content` as JSON, which no cache may keep."""
    return _json(msgspec.json.encode(content), status, headers or {})


def error_answer(error: CommandError) -> Response:
    """Return the answer that says why a request was refused."""
    status, headers = status_and_headers(error)
    return _json(refusal_body(error), status, headers)


def _json(body: bytes, status: int, headers: Mapping[str, str]) -> Response:
    # Caches may keep nothing: what an answer contains depends on who asks.
    return Response(body, status, {"Cache-Control": "no-store", **headers}, "application/json")


async def on_command_error(_request: Request, error: Exception) -> Response:
    """Answer a request that was refused on purpose."""
    assert isinstance(error, CommandError)
    return error_answer(error)


async def on_routing_error(request: Request, error: Exception) -> Response:
    """Answer a request that Starlette's router refuses: an unknown path or method."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
        text = f"This path does not support the method {request.method[:20]}. Use {headers['Allow']}."
    else:
        text = "There is nothing at this path. See /openapi.json for all paths."
    return error_answer(HttpError(error.status_code, ErrorCode.INVALID_REQUEST, text, headers))
