"""The files: the browser client for pages everywhere, the demo page for this server only."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from hubbub import Hub
from hubbub.server import Server
from hubbub.settings import Settings
from hubbub.transports.http.files import demo_page
from support.clients import SECRET, Raw

WEB = Path(__file__).parents[3] / "src" / "hubbub" / "web"
CLIENT = {"/hubbub.js": "text/javascript", "/hubbub.global.js": "text/javascript", "/hubbub.d.ts": "text/plain"}

Browse = Callable[..., httpx.AsyncClient]


async def test_the_page_comes_with_a_policy_that_allows_nothing_foreign(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.content == (WEB / "demo" / "index.html").read_bytes()  # which is written for guests
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_everything_that_the_page_asks_for_is_there(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    asked = {f"/{path}" for path in re.findall(r'(?:src|href)="([^"#]+)', page)}
    assert "/demo/app.js" in asked  # relative in the page, so that it works below a path too
    for path in asked | {f"/demo/{file.name}" for file in (WEB / "demo").iterdir() if file.suffix != ".html"}:
        answer = await http.get(path)
        assert answer.status_code == 200, path
        assert not answer.headers["Content-Type"].startswith("application/octet-stream"), path


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ({}, "guests"),
        ({"secret": SECRET}, "tokens"),
        ({"secret": SECRET, "guests": True}, "guests tokens"),
        ({"guests": False}, ""),
    ],
)
def test_the_page_knows_whether_it_has_to_ask_for_a_token(settings: dict[str, Any], accepted: str) -> None:
    page = demo_page(Settings(**settings))
    answer = page(Request({"type": "http", "method": "GET", "headers": []}))
    assert re.findall(r'data-login="(.*?)"', bytes(answer.body).decode()) == [accepted]


async def test_the_client_may_be_loaded_by_every_page(http: httpx.AsyncClient) -> None:
    for path, media_type in CLIENT.items():
        answer = await http.get(path, headers={"Origin": "https://elsewhere.example"})
        assert answer.status_code == 200, path
        assert answer.headers["Content-Type"].startswith(media_type)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
async def test_the_classic_script_sets_two_globals(http: httpx.AsyncClient, tmp_path: Path) -> None:
    script = tmp_path / "hubbub.global.cjs"
    script.write_bytes((await http.get("/hubbub.global.js")).content)
    code = f"require({str(script)!r}); console.log(typeof Hubbub, typeof HubbubError, typeof backoff)"
    run = partial(subprocess.run, capture_output=True, text=True, check=True, timeout=20)
    shown = await asyncio.to_thread(run, ["node", "-e", code])
    assert shown.stdout.split() == ["function", "function", "undefined"]


async def test_unchanged_files_are_not_sent_again(http: httpx.AsyncClient) -> None:
    for path in [*CLIENT, "/", "/demo/app.js"]:
        first = await http.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        etag = first.headers["ETag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await http.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
        assert (await http.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_nothing_but_the_files_of_the_page_can_be_had(server: Server, raw: Callable[..., Awaitable[Raw]]) -> None:
    connection = await raw(server)
    for path in [
        "/demo/../index.html",
        "/demo/..%2Findex.html",
        "/demo/%2E%2E/index.html",
        "/demo/..%5Cindex.html",
        "/demo//etc/passwd",
        "/demo/%2Fetc%2Fpasswd",
        "/demo/app.js%00",
        "/demo/",
        "/demo/.",
        "/demo/%FF",
        "/index.html",
        "/package.json",
        "/../pyproject.toml",
    ]:
        await connection.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status, _, body = await connection.answer()
        assert (status, b"error" in body) == (404, True), path


async def test_without_the_demo_the_client_stays(start: Callable[..., Awaitable[Server]], browse: Browse) -> None:
    http = browse(await start(demo=False))
    answer = await http.get("/")
    assert answer.status_code == 404
    assert "--no-demo" in answer.json()["error"]["message"]
    assert (await http.get("/demo/app.js")).status_code == 404
    assert (await http.get("/hubbub.js")).status_code == 200


def test_a_mounted_hub_names_its_own_addresses() -> None:
    with TestClient(Hub(secret=SECRET).wrap(Starlette(), at="/realtime")) as client:
        answer = client.get("/realtime/")
    assert answer.status_code == 404
    assert "is at /realtime/hubbub.js" in answer.json()["error"]["message"]
