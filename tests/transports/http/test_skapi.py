"""The HTTP calls of skapi-js, by hand: what the client itself would never send, and headers that it cannot show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from hubbub.auth.skapi_tokens import make_skapi_tokens
from hubbub.errors import ErrorCode
from hubbub.server import Server
from support.clients import SECRET, Peer, Raw, token

ADA = "22222222-2222-4222-8222-222222222222"
TOKEN = make_skapi_tokens(ADA, SECRET, "ap21mock00000000abcd", name="Ada")["idToken"]
ALL_GROUPS = {"service": "s", "owner": "o", "searchFor": "group", "value": " ", "condition": ">"}

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]


@pytest.fixture
def client(secured: Server, browse: Browse) -> httpx.AsyncClient:
    return browse(secured, headers={"Authorization": TOKEN, "Origin": "https://a.page"})


def readable(answer: httpx.Response) -> None:
    """Check what a page of any origin needs to read an answer."""
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "retry-after" in answer.headers["Access-Control-Expose-Headers"].lower()


@pytest.mark.parametrize(
    "path", ["get-ws-group", "get-users", "service", "cognito", "get-records", "../cdn/ap21/admin-v1.json"]
)
async def test_preflights(client: httpx.AsyncClient, path: str) -> None:
    asks = "authorization,content-meta,content-type,cache-control,x-amz-target,x-amz-user-agent"
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asks}
    answer = await client.options(f"/skapi/{path}", headers=headers)
    assert answer.status_code == 204
    readable(answer)
    assert set(asks.split(",")) <= set(answer.headers["Access-Control-Allow-Headers"].lower().split(", "))
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


BAD: list[tuple[str, str, Any, ErrorCode, str]] = [
    (
        "POST",
        "get-ws-group",
        b"",
        ErrorCode.INVALID_PARAMETER,
        "The body is not JSON, or a string in it is not valid Unicode.",
    ),
    ("POST", "get-ws-group", b"\xff", ErrorCode.INVALID_PARAMETER, "The body is not JSON, or a string in it is not"),
    (
        "POST",
        "get-ws-group",
        b'{"startKey":' * 9_000,
        ErrorCode.INVALID_PARAMETER,
        "The body is not JSON, or a string in it is",
    ),
    ("POST", "get-ws-group", b"[]", ErrorCode.INVALID_PARAMETER, "A command must be object, got array."),
    ("POST", "get-ws-group", {}, ErrorCode.INVALID_PARAMETER, '"group" is missing.'),
    ("POST", "get-ws-group", {"group": 7}, ErrorCode.INVALID_PARAMETER, '"group" must be text or null, got int.'),
    ("POST", "get-ws-group", {"group": ""}, ErrorCode.INVALID_PARAMETER, '"group" must be 1 to 256 characters; it is'),
    ("POST", "get-ws-group", {**ALL_GROUPS, "limit": 0}, ErrorCode.INVALID_PARAMETER, '"limit" must be'),
    ("POST", "get-ws-group", {**ALL_GROUPS, "limit": 1001}, ErrorCode.INVALID_PARAMETER, '"limit" must be'),
    ("POST", "get-ws-group", {**ALL_GROUPS, "condition": "~"}, ErrorCode.INVALID_PARAMETER, '"condition" cannot be'),
    ("POST", "get-ws-group", {**ALL_GROUPS, "searchFor": "x"}, ErrorCode.INVALID_PARAMETER, '"searchFor" cannot be'),
    ("POST", "get-ws-group", {**ALL_GROUPS, "startKey": {"a": 1}}, ErrorCode.INVALID_PARAMETER, '"startKey"'),
    ("POST", "get-ws-group", {**ALL_GROUPS, "value": [1]}, ErrorCode.INVALID_PARAMETER, '"value" must be'),
    ("POST", "get-ws-group", b"x" * 200_000, ErrorCode.TOO_LARGE, "The body"),
    ("POST", "get-users", {"searchFor": "name", "value": "A"}, ErrorCode.INVALID_PARAMETER, '"searchFor" cannot be'),
    ("POST", "get-users", {"searchFor": "user_id"}, ErrorCode.INVALID_PARAMETER, '"value" is missing.'),
    ("POST", "get-records", {}, ErrorCode.INVALID_REQUEST, 'Hubbub does not have the call "get-records".'),
    ("DELETE", "a/b", None, ErrorCode.INVALID_REQUEST, 'Hubbub does not have the call "a/b".'),
    ("POST", "cognito", {}, ErrorCode.INVALID_REQUEST, ""),
]


@pytest.mark.parametrize(("method", "path", "body", "code", "text"), BAD)
async def test_bad_calls(
    client: httpx.AsyncClient, method: str, path: str, body: Any, code: ErrorCode, text: str
) -> None:
    options = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = await client.request(method, f"/skapi/{path}", **options)
    assert 400 <= answer.status_code < 500
    readable(answer)
    if path != "cognito":  # which has to look as Amazon's
        assert answer.json()["code"] == code
        assert answer.json()["message"].startswith(text)


@pytest.mark.parametrize("header", [None, "", "nonsense", "Bearer " + TOKEN, TOKEN + "x", token("x", secret="y" * 32)])
@pytest.mark.parametrize("path", ["get-ws-group", "get-users"])
async def test_without_a_valid_token_nothing_is_shown(
    secured: Server, browse: Browse, path: str, header: str | None
) -> None:
    client = browse(secured, headers={} if header is None else {"Authorization": header})
    answer = await client.post(f"/skapi/{path}", json={**ALL_GROUPS, "group": "g"})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    readable(answer)


async def test_a_range_counts_only_without_a_condition(
    secured: Server, client: httpx.AsyncClient, peers: Peers
) -> None:
    """The client sends both for a range that counts as false in JavaScript; otherwise the range alone."""
    for group in ("a", "b", "c"):
        await peers(secured, token=token(f"in {group}"), group=group)
    for query, expected in [
        ({"value": "a", "range": "b"}, ["a", "b"]),
        ({"value": "b", "range": 0, "condition": "="}, ["b"]),
        ({"value": "b", "range": "", "condition": "="}, ["b"]),
        ({"value": "b", "range": False, "condition": ">"}, ["c"]),
        ({"condition": ">"}, ["a", "b", "c"]),  # version 1.2.2
        ({"value": " ", "condition": "gt"}, ["a", "b", "c"]),
        ({"value": "b"}, ["b"]),
    ]:
        answer = await client.post("/skapi/get-ws-group", json={"service": "s", **query})
        assert [row["rid"] for row in answer.json()["list"]] == [f"s#{name}" for name in expected], query


async def test_the_service(client: httpx.AsyncClient) -> None:
    answer = await client.get("/skapi/service?service=x&owner=y&refresh=false")
    readable(answer)
    assert answer.json()["group"] >= 3  # less, and the client prints advertisements
    assert answer.text.isascii()


async def test_names(secured: Server, client: httpx.AsyncClient, peers: Peers) -> None:
    query = {"searchFor": "user_id", "value": ADA, "condition": "="}
    assert (await client.post("/skapi/get-users", json=query)).json()["list"] == []
    await peers(secured, token=TOKEN)
    answer = await client.post("/skapi/get-users", json=query)
    assert answer.json() == {"list": [{"user_id": ADA, "name": "Ada"}], "startKey": "end", "endOfList": True}


@pytest.mark.parametrize(
    ("query", "text"),
    [("", b"A token is missing"), ("?token=", b"UNAUTHORIZED"), ("?token=nonsense", b"UNAUTHORIZED")],
)
async def test_the_websocket_wants_a_token_at_once(
    secured: Server, raw: Callable[..., Awaitable[Raw]], query: str, text: bytes
) -> None:
    connection = await raw(secured)
    await connection.send(
        f"GET /skapi/connect{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    status, _headers, body = await connection.answer()
    assert status == 401
    assert text in body
