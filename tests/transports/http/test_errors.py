"""Answers as JSON: what no cache keeps, and what a refusal says."""

from __future__ import annotations

import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from hubbub.errors import CommandError, ErrorCode
from hubbub.transports.http.errors import INTERNAL, answer, error_answer, on_command_error, on_routing_error
from hubbub.transports.refusal import HttpError


def request(method: str = "GET") -> Request:
    return Request({"type": "http", "method": method, "path": "/", "headers": []})


def test_an_answer_is_json_that_no_cache_keeps() -> None:
    response = answer({"a": "ü"}, 201, {"X-Extra": "1"})
    assert (response.status_code, json.loads(bytes(response.body))) == (201, {"a": "ü"})
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["cache-control"], response.headers["x-extra"]) == ("no-store", "1")
    assert answer([]).status_code == 200


@pytest.mark.parametrize(
    ("code", "status", "header"),
    [
        (ErrorCode.UNAUTHORIZED, 401, ("www-authenticate", "Bearer")),
        (ErrorCode.UNAVAILABLE, 503, ("retry-after", "5")),
        (ErrorCode.FORBIDDEN, 403, ("cache-control", "no-store")),
        (INTERNAL.code, 500, ("cache-control", "no-store")),
    ],
)
def test_a_refusal_has_status_headers_and_text(code: ErrorCode, status: int, header: tuple[str, str]) -> None:
    response = error_answer(CommandError(code, "Because."))
    assert response.status_code == status
    assert response.headers[header[0]] == header[1]
    assert json.loads(bytes(response.body)) == {"error": {"code": code.value, "message": "Because."}}


async def test_a_command_error_is_answered_with_its_own_status_and_headers() -> None:
    error = HttpError(426, ErrorCode.INVALID_REQUEST, "Upgrade.", {"Upgrade": "websocket"})
    response = await on_command_error(request(), error)
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")


async def test_an_unknown_path_is_told_where_all_paths_are() -> None:
    response = await on_routing_error(request(), HTTPException(404))
    assert response.status_code == 404
    assert json.loads(bytes(response.body))["error"] == {
        "code": "INVALID_REQUEST",
        "message": "There is nothing at this path. See /openapi.json for all paths.",
    }


async def test_a_wrong_method_is_told_the_right_ones_in_order() -> None:
    response = await on_routing_error(request("X" * 50), HTTPException(405, headers={"Allow": "POST, GET, HEAD"}))
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")
    text = json.loads(bytes(response.body))["error"]["message"]
    assert text == f"This path does not support the method {'X' * 20}. Use GET, HEAD, POST."
