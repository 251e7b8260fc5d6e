"""One WebSocket into an ASGI app: what the app sees, how it refuses, how both ends close."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from hubbub.errors import CommandError, ErrorCode
from hubbub.testing.client_socket import Socket, websocket_scope

SCOPE = websocket_scope("/v1/connect")


def make() -> tuple[Socket, list[str]]:
    texts = list[str]()
    return Socket(texts.append, lambda: texts.append("closed")), texts


def test_what_the_app_sees() -> None:
    scope = websocket_scope(
        "/realtime/v1/connect",
        headers={"Origin": "https://example.com", "Host": "chat.example"},
        cookies={"user": "ada", "team": "red"},
        query={"room": "a b"},
        state={"pool": 1},
    )
    seen = HTTPConnection(scope)
    assert (seen.headers["origin"], seen.headers["host"]) == ("https://example.com", "chat.example")
    assert seen.cookies == {"user": "ada", "team": "red"}
    assert (seen.query_params["room"], seen.url.path, seen.state.pool) == ("a b", "/realtime/v1/connect", 1)


async def test_both_directions_and_the_close_of_the_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        await socket.send_text("you said " + await socket.receive_text())
        await socket.close(4321, "enough")

    socket, texts = make()
    await socket.open(app, SCOPE)
    socket.send("hello")
    while socket.code is None:
        await asyncio.sleep(0)
    assert (texts, socket.code, socket.reason) == (["you said hello", "closed"], 4321, "enough")
    await socket.end(1000)
    assert texts[2:] == []


async def test_the_app_is_told_how_the_client_has_ended() -> None:
    codes = list[int]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        codes.append((await receive())["code"])

    socket, texts = make()
    await socket.open(app, SCOPE)
    await socket.end(1000)
    assert (codes, socket.code, texts) == ([1000], 1000, ["closed"])


async def refused(app: Any) -> CommandError:
    socket, _ = make()
    with pytest.raises(CommandError) as error:
        await socket.open(app, SCOPE)
    return error.value


def answer(status: int, body: bytes) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": body})

    return app


@pytest.mark.parametrize(
    ("status", "body", "code", "text"),
    [
        (
            429,
            json.dumps({"error": {"code": "RATE_LIMITED", "message": "Slower."}}).encode(),
            "RATE_LIMITED",
            "Slower.",
        ),
        (404, b"Not Found", "FORBIDDEN", "HTTP status 404"),
        (502, b'{"error": 1}', "UNAVAILABLE", "HTTP status 502"),
    ],
)
async def test_an_app_that_refuses(status: int, body: bytes, code: str, text: str) -> None:
    error = await refused(answer(status, body))
    assert error.code == ErrorCode(code)
    assert text in error.message


async def test_an_app_that_closes_instead_of_accepting_or_does_nothing() -> None:
    async def closes(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1000})

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None: ...

    assert (await refused(closes)).code == ErrorCode.FORBIDDEN
    assert (await refused(nothing)).code == ErrorCode.FORBIDDEN


async def test_an_app_that_fails() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    socket, texts = make()
    with pytest.raises(ZeroDivisionError):
        await socket.open(app, SCOPE)
    assert (socket.code, texts) == (1006, ["closed"])
