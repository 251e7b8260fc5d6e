"""Users who ask too much over HTTP are told so, and nobody else notices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from hubbub.server import Server
from support.clients import SECRET, bearer, server_bearer, token

Start = Callable[..., Awaitable[Server]]
Browse = Callable[..., httpx.AsyncClient]

FEW: dict[str, Any] = {"http_rate_limit": 0.01, "http_rate_burst": 3}


async def test_a_user_is_limited_whatever_the_connection_and_others_are_not(start: Start, browse: Browse) -> None:
    server = await start(secret=SECRET, **FEW)
    first, second = (browse(server, headers=bearer("ada")) for _ in range(2))
    answers = [await one.get(path) for one in (first, second) for path in ("/v1/groups", "/v1/groups/g/users")]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 100
    assert (await browse(server, headers=bearer("bob")).get("/v1/groups")).status_code == 200
    program = browse(server, headers=server_bearer())
    posts = [await program.post("/v1/groups/g/messages", json={"message": 1}) for _ in range(10)]
    assert {answer.status_code for answer in posts} == {200}


async def test_callers_without_a_token_share_one_limit(start: Start, browse: Browse) -> None:
    server = await start(**FEW)
    answers = [(await browse(server).get("/v1/groups")).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    assert (await browse(server).get("/healthz")).status_code == 200


async def test_the_legacy_clients_calls_count(start: Start, browse: Browse) -> None:
    server = await start(secret=SECRET, **FEW)
    legacy = browse(server, headers={"Authorization": token("ada"), "Origin": "https://a.page"})
    calls = ["get-ws-group", "get-users"] * 2
    bodies: dict[str, Any] = {
        "get-ws-group": {"searchFor": "group", "value": " ", "condition": ">"},
        "get-users": {"searchFor": "user_id", "value": "bob"},
    }
    answers = [await legacy.post(f"/skapi/{call}", json=bodies[call]) for call in calls]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused.json()["code"] == "RATE_LIMITED"
    assert "Retry-After" in refused.headers
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert (await browse(server, headers=bearer("ada")).get("/v1/groups")).status_code == 429


@pytest.mark.parametrize("path", ["/skapi/service", "/cdn/eu/admin-v1.json", "/skapi/whatever"])
async def test_foreign_pages_learn_nothing_of_a_server_on_loopback(start: Start, browse: Browse, path: str) -> None:
    server = await start(origins=("https://my.page",))
    for origin in ("https://evil.example", "null", "https://localhost.evil.example", "http://127.0.0.1@evil.example"):
        answer = await browse(server, headers={"Origin": origin}).get(path)
        assert not [name for name in answer.headers if name.startswith(("access-control", "cross-origin"))]
        assert answer.headers["Vary"] == "Origin"
    for origin in ("https://my.page", "http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:80"):
        answer = await browse(server, headers={"Origin": origin}).get(path)
        assert answer.headers["Access-Control-Allow-Origin"] == origin


async def test_a_server_for_the_public_is_found_by_every_page(start: Start, browse: Browse) -> None:
    server = await start(secret=SECRET)
    answer = await browse(server, headers={"Origin": "https://a.page"}).get("/skapi/service")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
