"""What holds for every request: hosts, origins, what is logged, and what never is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hubbub.server import Server
from support.clients import SECRET, Peer, Raw, bearer, open_peer, server_bearer, token
from support.waiting import PATIENCE

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]
Start = Callable[..., Awaitable[Server]]
Open = Callable[..., Awaitable[Raw]]

UPGRADE = (
    b"GET /v1/connect HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


# --- hosts ------------------------------------------------------------------------------------------------------------


async def test_while_guests_are_accepted_other_hosts_are_refused(
    server: Server, http: httpx.AsyncClient, raw: Open
) -> None:
    for host in ["evil.example", "evil.example:8000", "192.168.0.1"]:
        for path in ["/", "/v1/groups", "/healthz", "/hubbub.js"]:
            answer = await http.get(path, headers={"Host": host})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
        connection = await raw(server)
        await connection.send(UPGRADE % host.encode() + b"\r\n")
        assert (await connection.answer())[0] == 403
    for host in ["localhost:8000", "127.0.0.1"]:
        assert (await http.get("/v1/groups", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("hosts", [b"Host: localhost\r\nHost: evil.example\r\n", b""], ids=["two", "none"])
@pytest.mark.parametrize("request_line", [b"GET /v1/groups HTTP/1.1\r\n", UPGRADE.replace(b"Host: %s\r\n", b"")])
async def test_a_request_has_exactly_one_host(server: Server, raw: Open, request_line: bytes, hosts: bytes) -> None:
    connection = await raw(server)
    await connection.send(request_line + hosts + b"\r\n")  # RFC 9112, section 3.2
    status, _, body = await connection.answer()
    assert (status, json.loads(body)["error"]["code"]) == (400, "INVALID_REQUEST")
    assert b"Host" in body


@pytest.mark.parametrize("request_line", [b"GET /v1/groups HTTP/1.1\r\n", UPGRADE.replace(b"Host: %s\r\n", b"")])
async def test_a_host_has_to_be_valid(secured: Server, raw: Open, request_line: bytes) -> None:
    connection = await raw(secured)
    await connection.send(request_line + b"Host: chat.example/x\r\n\r\n")
    status, headers, body = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert b"Host" in body


async def test_with_tokens_any_host_will_do(secured: Server, browse: Browse, peers: Peers) -> None:
    answer = await browse(secured, headers=bearer()).get("/v1/groups", headers={"Host": "chat.example"})
    assert answer.status_code == 200


# --- origins ----------------------------------------------------------------------------------------------------------

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


async def test_pages_of_configured_origins_may_use_the_api(start: Start, browse: Browse) -> None:
    server = await start(secret=SECRET, origins=("https://app.example", "http://localhost:3000"))
    http = browse(server, headers={"Origin": "https://app.example"})
    preflight = await http.options("/v1/groups/g/messages", headers=PREFLIGHT)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert preflight.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    for path, status in [("/v1/groups", 401), ("/v1/groups/g", 404), ("/v1/groups/g/messages", 405)]:
        answer = await http.get(path)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert answer.headers["Vary"] == "Origin"
    good = await http.get("/v1/groups", headers=bearer())
    assert (good.status_code, good.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
    assert "Access-Control-Allow-Credentials" not in good.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example", "https://app.example.evil", "null"])
async def test_pages_of_other_origins_may_not(start: Start, browse: Browse, origin: str) -> None:
    server = await start(secret=SECRET, origins=("https://app.example",))
    http = browse(server, headers={"Origin": origin})
    preflight = await http.options("/v1/groups", headers=PREFLIGHT)
    assert (preflight.status_code, preflight.json()["error"]["code"]) == (403, "FORBIDDEN")
    for answer in (preflight, await http.get("/v1/groups", headers=bearer()), await http.get("/")):
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_star_lets_every_page_in(start: Start, browse: Browse) -> None:
    http = browse(await start(secret=SECRET, origins=("*",)), headers={"Origin": "https://any.example", **bearer()})
    assert (await http.options("/v1/groups", headers=PREFLIGHT)).headers["Access-Control-Allow-Origin"] == "*"
    assert (await http.get("/v1/groups")).headers["Access-Control-Allow-Origin"] == "*"


async def test_pages_of_this_machine_may_use_the_api_where_guests_may(start: Start, browse: Browse) -> None:
    page = "http://localhost:5173"
    for server, allowed in ((await start(), True), (await start(secret=SECRET), False)):
        http = browse(server, headers={"Origin": page})
        for answer in (await http.options("/v1/groups", headers=PREFLIGHT), await http.get("/v1/groups")):
            assert answer.headers.get("Access-Control-Allow-Origin") == (page if allowed else None)
            assert answer.is_success == allowed
            assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_refused_page_is_logged_with_the_flag(
    start: Start, browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    http = browse(await start(secret=SECRET), headers={"Origin": "https://app.example"})
    for _ in range(3):
        assert (await http.options("/v1/groups", headers=PREFLIGHT)).status_code == 403
    lines = [record.getMessage() for record in caplog.records if record.name == "hubbub.origins"]
    assert len(lines) == 1
    assert lines[0].endswith("start the server with --origins https://app.example")


async def test_what_guests_see_no_other_page_can_read(server: Server, http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/groups", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


# --- failures ---------------------------------------------------------------------------------------------------------


async def test_a_failure_is_logged_once_and_told_to_nobody(
    server: Server, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError("details")

    monkeypatch.setattr(server.node.backend, "groups", fail)
    answer = await http.get("/v1/groups?value=canary")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "INTERNAL",
            "message": "Something went wrong in the server; its log has the details. Try again later.",
        }
    }
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == ["GET /v1/groups failed"]
    assert errors[0].exc_info is not None
    assert "canary" not in logging.Formatter().format(errors[0])
    assert (await http.get("/healthz")).status_code == 200


# --- logs -------------------------------------------------------------------------------------------------------------


async def test_the_access_log_has_no_query_strings(
    start: Start, browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hubbub.access")
    http = browse(await start(access_log=True))
    await http.get("/v1/groups?value=x")
    await http.get("/v1/groups/a%0Ab/users")
    await http.post("/healthz")
    lines = [record.getMessage() for record in caplog.records if record.name == "hubbub.access"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        "GET /v1/groups 200",
        "GET /v1/groups/a%0Ab/users 200",
        "POST /healthz 405",
    ]
    assert all(line.endswith(" ms") and float(line.split()[3]) < 5000 for line in lines)


async def test_there_is_no_access_log_unless_asked_for(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await http.get("/healthz")
    assert [record for record in caplog.records if record.name not in CLIENTS] == []


CLIENTS = {"httpx", "httpcore.connection", "httpcore.http11", "websockets.client", "asyncio"}
"""Loggers of the test's own side."""


@pytest.mark.parametrize("valid", [True, False])
async def test_tokens_are_in_no_log(
    start: Start,
    browse: Browse,
    raw: Open,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    valid: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = await start(secret=SECRET, access_log=True, log_level="debug")
    good = token("u", canary="canary", role="server")
    canary = good if valid else good[:-8] + "canary--"
    secrets = [canary[at : at + 12] for at in range(canary.index("."), len(canary) - 12)]
    http = browse(server)

    await http.get("/v1/groups", headers={"Authorization": f"Bearer {canary}"})
    await http.get("/v1/groups", headers={"Authorization": f"Basic {canary}"})
    await http.post("/v1/groups/g/messages", headers={"Authorization": f"Bearer {canary}"}, content=b"{")
    await http.get(f"/v1/groups?token={canary}")
    await http.get(f"/v1/connect?token={canary}")
    await http.get(f"/nothing?token={canary}")
    await (await raw(server)).send(f"GET /v1/groups?token={canary} HTTP/1.1\r\nbroken\r\n\r\n".encode())
    await (await raw(server)).send(f"GET /{canary} HTTP/9\r\n\r\n".encode())
    for options in [
        {"additional_headers": {"Authorization": f"Bearer {canary}"}},
        {"token": canary},
        {"query": f"?token={canary}"},
        {"pieces": [f'{{"id":1,"do":"connect","token":"{canary}', '"}']},  # through the library, which logs frames
        {"pieces": [f'{{"id":1,"do":"connect","tokens":"{canary}', '"}']},
    ]:
        await visit(server, **options)
    for record in caplog.records:
        if record.name not in CLIENTS:
            shown = logging.Formatter().format(record)
            assert not [part for part in secrets if part in shown], shown
    assert any(record.name == "hubbub.access" for record in caplog.records)
    written = "".join(capfd.readouterr())
    assert not [part for part in secrets if part in written]


async def visit(server: Server, *, query: str = "", pieces: list[str] | None = None, **options: Any) -> None:
    """Connect in one way or another, and take no for an answer."""
    try:
        peer = await open_peer(server, query=query, **options)
    except (InvalidStatus, AssertionError):
        return
    try:
        async with asyncio.timeout(PATIENCE):
            if pieces:
                await peer.socket.send(pieces)
                await peer.frame()
            else:
                await peer.ask("leave")
    except ConnectionClosed:
        pass
    finally:
        await peer.socket.close()


async def test_a_server_token_in_every_header_case(secured: Server, browse: Browse) -> None:
    value = server_bearer()["Authorization"]
    for written in (value, value.replace("Bearer", "bearer"), value.replace(" ", "   ")):
        answer = await browse(secured).delete("/v1/users/u", headers={"Authorization": written})
        assert answer.status_code == 200
