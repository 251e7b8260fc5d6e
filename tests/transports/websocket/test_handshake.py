"""The opening handshake: what is accepted, and what is refused with which status."""

from __future__ import annotations

import json

import pytest

from hubbub.errors import CommandError, ErrorCode
from hubbub.transports.refusal import HttpError, refusal
from hubbub.transports.websocket.handshake import parse, response

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3


def request(path: str = "/v1/connect", method: str = "GET", **headers: str | None) -> bytes:
    fields: dict[str, str | None] = {
        "host": "127.0.0.1:8000",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def refused(data: bytes, *origins: str) -> HttpError:
    with pytest.raises(HttpError) as caught:
        parse(data, origins)
    return caught.value


def test_the_example_of_the_rfc() -> None:
    handshake = parse(request(), ())
    assert handshake.path == "/v1/connect"
    assert (handshake.token, handshake.subprotocols) == (None, [])
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in response(handshake, "hubbub.v1")


def test_the_subprotocol_is_named_only_if_it_was_offered() -> None:
    offered = parse(request(sec_websocket_protocol="other, hubbub.v1"), ())
    assert b"Sec-WebSocket-Protocol: hubbub.v1\r\n" in response(offered, "hubbub.v1")
    assert b"Sec-WebSocket-Protocol" not in response(parse(request(), ()), "hubbub.v1")


@pytest.mark.parametrize(
    ("data", "token"),
    [
        (request("/v1/connect?token=a.b.c"), "a.b.c"),
        (request("/v1/connect?x=1&token=a%2Bb"), "a+b"),
        (request(authorization="Bearer a.b.c"), "a.b.c"),
        (request(authorization="bearer  a.b.c"), "a.b.c"),
        (request("/v1/connect?token=url", authorization="Bearer header"), "header"),
        (request(authorization="Basic YTpi"), None),
        (request("/v1/connect?token="), None),
        (request("/v1/connect?token=a&token=b+c"), "b c"),
        (request("/v1/connect?xtoken=a&&tokens=b"), None),
    ],
)
def test_tokens(data: bytes, token: str | None) -> None:
    assert parse(data, ()).token == token


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        (request(method="POST"), 405, "GET"),
        (request(sec_websocket_version="8"), 426, "version 13"),
        (request(sec_websocket_version=None), 426, "version 13"),
        (request(sec_websocket_key=None), 400, "Sec-WebSocket-Key"),
        (request(sec_websocket_key="short"), 400, "Sec-WebSocket-Key"),
        (request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ"), 400, "Sec-WebSocket-Key"),
        (request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==!"), 400, "Sec-WebSocket-Key"),
        (request("//[/v1/connect"), 400, "not a valid URL"),
        (request(origin="http://["), 400, "not a valid URL"),
    ],
)
def test_malformed_handshakes(data: bytes, status: int, word: str) -> None:
    error = refused(data)
    assert error.status == status
    assert word in error.message
    head, _, body = refusal(error).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]["message"] == error.message
    assert f"Content-Length: {len(body)}".encode() in head


OWN = "127.0.0.1:8000"


@pytest.mark.parametrize(
    ("origin", "host", "origins", "allowed"),
    [
        (None, OWN, (), True),
        ("http://127.0.0.1:8000", OWN, (), True),
        ("https://chat.example", "chat.example", (), True),
        ("https://Chat.Example", "chat.example", (), True),
        ("http://127.0.0.1:8001", OWN, (), False),
        ("http://127.0.0.1", OWN, (), False),
        ("http://127.0.0.1:8000.evil.example", OWN, (), False),
        ("http://evil.example#127.0.0.1:8000", OWN, (), False),
        ("http://127.0.0.1:8000@evil.example", OWN, (), False),
        ("null", OWN, (), False),
        ("", OWN, (), False),
        ("file://", OWN, (), False),
        ("https://evil.example", OWN, ("https://good.example",), False),
        ("https://good.example", OWN, ("https://good.example",), True),
        ("https://good.example.evil.example", OWN, ("https://good.example",), False),
        ("https://evil-good.example", OWN, ("https://good.example",), False),
        ("http://good.example", OWN, ("https://good.example",), False),
        ("https://good.example:444", OWN, ("https://good.example",), False),
        ("https://anything.example", OWN, ("*",), True),
        ("null", OWN, ("*",), True),
        ("http://", "", (), False),
    ],
)
def test_origins(origin: str | None, host: str, origins: tuple[str, ...], allowed: bool) -> None:
    data = request(origin=origin, host=host)
    assert parse(data, origins).refused_origin == (None if allowed else origin)


def test_a_refused_token_is_401() -> None:
    assert refusal(CommandError(ErrorCode.UNAUTHORIZED, "no")).startswith(b"HTTP/1.1 401 Unauthorized\r\n")
