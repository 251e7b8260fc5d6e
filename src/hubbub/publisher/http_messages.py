"""Calls as HTTP requests, and HTTP answers as results or errors. Pure: `http_transport` sends and receives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import quote, urlencode

import msgspec

from hubbub.client.results import Page, Sent
from hubbub.errors import HTTP_STATUS, CommandError, ErrorCode
from hubbub.messages import GroupRow, Groups, UserRow, Users
from hubbub.publisher.calls import Call, Disconnect, Post
from hubbub.publisher.retries import AttemptError, parse_retry_after

MAX_ANSWER = 16 * 1024 * 1024
"""Most bytes of an answer; the largest real one, a page of 1,000 groups with long names, has a few MiB."""

_RETRIED = {502, 503, 504}


class HttpRequest(NamedTuple):
    """A request: `path` with its query, percent-encoded, and what the answer of a success holds."""

    method: str
    path: str
    body: bytes | None
    result: Any


class _Disconnected(msgspec.Struct, frozen=True):
    disconnected: int


class _Error(msgspec.Struct):
    code: str
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


def to_request(call: Call) -> HttpRequest:
    """Return the request that carries out a call."""
    if isinstance(call, Post):
        return HttpRequest("POST", f"/v1/{call.kind}s/{_segment(call.to)}/messages", _body(call), Sent)
    if isinstance(call, Disconnect):
        query = "" if call.for_seconds is None else f"?for={call.for_seconds}"
        kind, name = ("users", call.user_id) if call.connection_id is None else ("connections", call.connection_id)
        return HttpRequest("DELETE", f"/v1/{kind}/{_segment(name or '')}{query}", None, _Disconnected)
    if isinstance(call, Users):
        path = f"/v1/groups/{_segment(call.group or '')}/users{_query(call, 'group')}"
        return HttpRequest("GET", path, None, Page[UserRow])
    return HttpRequest("GET", f"/v1/groups{_query(call)}", None, Page[GroupRow])


def _segment(name: str) -> str:
    # Dots as well: libraries resolve the segments "." and "..".
    return quote(name, safe="").replace(".", "%2E")


def _body(post: Post) -> bytes:
    options = {"key": post.key, "min_recipients": post.min_recipients, "sender": post.sender}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if not post.keep:
        given["keep"] = False
    return msgspec.json.encode({"message": post.message, **given})


def _query(command: Groups | Users, *left_out: str) -> str:
    """Return the fields that are not the defaults as a query string: text as it is, everything else as JSON."""
    given: dict[str, Any] = msgspec.to_builtins(command)
    pairs = {}
    for field in msgspec.structs.fields(command):
        value = given[field.encode_name]
        if field.encode_name not in left_out and value != field.default:
            pairs[field.encode_name] = value if isinstance(value, str) else json.dumps(value)
    return f"?{urlencode(pairs, errors='surrogatepass')}" if pairs else ""


def read_answer(server: str, request: HttpRequest, status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """Return the result in an answer.

    Args:
        server: The address of the server, for the error text.
        request: What was asked.
        status: The HTTP status.
        headers: The header fields, found by names in any case.
        body: The whole body.

    Raises:
        AttemptError: The error that the server answered, or what is wrong with the answer.
    """
    if 300 <= status < 400:
        raise AttemptError(_redirect(server, status, headers.get("location", "")))
    if status == 200:
        try:
            result = msgspec.json.decode(body, type=request.result)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise AttemptError(not_hubbub(server, "")) from None
        return result.disconnected if isinstance(result, _Disconnected) else result
    raise AttemptError(_refusal(server, status, body), parse_retry_after(headers.get("retry-after")))


def not_hubbub(server: str, detail: str) -> CommandError:
    """Return the error for an answer that no Hubbub server gives; `detail` goes on after "does not answer"."""
    text = f'{server} does not answer like a Hubbub server{detail}; check the "url" of the publisher.'
    return CommandError(ErrorCode.INTERNAL, text)


def _refusal(server: str, status: int, body: bytes) -> CommandError:
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        if status in _RETRIED:  # a proxy in front of the server
            return CommandError(ErrorCode.UNAVAILABLE, f"{server} answered with HTTP status {status}.")
        if status == HTTP_STATUS[ErrorCode.RATE_LIMITED]:
            return CommandError(ErrorCode.RATE_LIMITED, f"{server} answered with HTTP status {status}.")
        return not_hubbub(server, f" (HTTP status {status})")
    try:
        return CommandError(ErrorCode(error.code), error.message)
    except ValueError:  # a code of a later server is passed on as it is
        return CommandError(cast(ErrorCode, error.code), error.message)


def _redirect(server: str, status: int, target: str) -> CommandError:
    where = f" to {target[:200]}" if target else ""
    text = (
        f"{server} redirects{where} (HTTP status {status}). Redirects are not followed, because the token is for the "
        f"named server only: give the publisher the right address."
    )
    return CommandError(ErrorCode.INVALID_REQUEST, text)
