"""Refused requests as HTTP answers."""

from __future__ import annotations

import json

import pytest

from hubbub.errors import HTTP_STATUS, CommandError, ErrorCode
from hubbub.transports.refusal import RETRY_AFTER, HttpError, refusal, server_full, status_and_headers


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_its_status_and_headers(code: ErrorCode) -> None:
    status, headers = status_and_headers(CommandError(code, "no"))
    assert status == HTTP_STATUS[code]
    assert headers == {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": RETRY_AFTER}}.get(status, {})


def test_an_error_may_have_a_status_and_headers_of_its_own() -> None:
    error = HttpError(405, ErrorCode.INVALID_REQUEST, "no", {"Allow": "GET"})
    assert status_and_headers(error) == (405, {"Allow": "GET"})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 415, 426, 429, 431, 500, 503])
def test_a_refusal_is_a_whole_answer(status: int) -> None:
    answer = refusal(HttpError(status, ErrorCode.INVALID_REQUEST, "Nö.", {"X": "y"}))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ")
    headers = dict(line.split(": ") for line in lines)
    assert json.loads(body) == {"error": {"code": "INVALID_REQUEST", "message": "Nö."}}
    assert headers["Content-Length"] == str(len(body))
    assert (headers["Content-Type"], headers["Connection"], headers["X"]) == ("application/json", "close", "y")


def test_a_full_server_says_when_to_try_again() -> None:
    assert b"\r\nRetry-After: 5\r\n" in refusal(server_full())
