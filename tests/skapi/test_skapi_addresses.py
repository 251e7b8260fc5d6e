"""How the npm client finds the server: by script and by option, by http and by https, directly and behind nginx."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET
from support.nginx import needs_nginx, nginx
from support.skapi_pages import OWNER, SERVICE, VERSIONS, Site, User, needs_skapi, open_page

pytestmark = [pytest.mark.asyncio(loop_scope="session")]

Visit = Callable[..., Awaitable[User]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def public(site: Site, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The https address of a server behind nginx."""
    folder: Path = tmp_path_factory.mktemp("nginx")
    async with Server(Settings(port=0, secret=SECRET, origins=(site.origin,), forwarded=True)) as server:
        with nginx(folder, server.url) as url:
            yield url


async def talk(user: User) -> None:
    """Do what needs the WebSocket, and what needs HTTP."""
    await user.connect()
    await user.join("over there")
    await user.do("postRealtime", "hello", "over there")
    assert (await user.next())["message"] == "hello"
    assert (await user.do("getRealtimeGroups"))["list"] == [{"group": "over there", "number_of_users": 1}]
    await user.page.context.close()


@needs_skapi
@needs_nginx
@pytest.mark.parametrize("version", VERSIONS)
async def test_over_https_by_an_option(browser: Browser, site: Site, public: str, version: str) -> None:
    user = await open_page(browser, site.page(version, None), "ada")
    await user.log_in(SERVICE, OWNER, {"target_cdn": f"{public.removeprefix('https://')}/cdn/x"})
    await talk(user)
    assert user.complaints == []


@needs_skapi
@needs_nginx
@pytest.mark.parametrize("version", VERSIONS)
async def test_over_https_by_the_script(browser: Browser, site: Site, public: str, version: str) -> None:
    user = await open_page(browser, site.page(version, public), "ada")
    await user.log_in(SERVICE, OWNER)
    await talk(user)
    assert user.complaints == []


@needs_nginx
async def test_behind_nginx_the_files_name_the_public_address(public: str) -> None:
    async with httpx.AsyncClient(base_url=public, verify=False, trust_env=False) as client:
        record = (await client.get("/cdn/ap21/record-v1.json")).json()
        assert record["websocket_private"] == f"{public.replace('https', 'wss')}/skapi/connect"
        assert record["record_private"] == f"{public}/skapi/"
        assert f"const server = '{public}';" in (await client.get("/point_skapi.js")).text


@needs_skapi
@pytest.mark.parametrize(
    ("version", "ids"),
    [
        ("122", ["mock00000000-6abcd-11111111-1111-4111-8111-111111111111"]),
        ("158", ["mock00000000-6abcd-11111111-1111-4111-8111-111111111111"]),
        ("158", ["5ck000000006abcdmo-WCfTonfsFCDyJRADVk41d"]),
    ],
)
async def test_longer_ways_to_write_the_service(visit: Visit, version: str, ids: list[str]) -> None:
    user = await visit("ada", version, connect=False, ids=ids)
    await user.connect()
    await user.join("found it")
    assert (await user.do("getRealtimeUsers", {"group": "found it"}))["list"][0]["user_id"] == user.id


SENT_HERE = {
    "https://d3e9syvbtso631.cloudfront.net/ap21/admin-v2.json": "/cdn/ap21/admin-v2.json",
    "https://d3e9syvbtso631.cloudfront.net/us31/record-v2.json": "/cdn/us31/record-v2.json",
    "https://cognito-idp.hubbub.amazonaws.com/": "/skapi/cognito",
}
NOT_SENT_HERE = [
    "https://d3e9syvbtso631.cloudfront.net/ap21/other-v1.json",
    "https://d3e9syvbtso631.cloudfront.net/ap21/admin-v1.json?x",
    "https://evil.example/https://d3e9syvbtso631.cloudfront.net/ap21/admin-v1.json",
    "http://d3e9syvbtso631.cloudfront.net/ap21/admin-v1.json",
    "https://s3.amazonaws.com/",
]


@needs_skapi
async def test_the_script_sends_those_requests_here_and_no_others(browser: Browser, site: Site, hubbub: Server) -> None:
    """Asked as the 2.0 line asks, which npm does not have yet."""
    user = await open_page(browser, site.page("158", hubbub.url), "ada")
    asked: list[str] = []

    async def note(route: Route) -> None:
        asked.append(route.request.url)
        await route.abort()

    await user.page.route("**/*", note)
    for url in SENT_HERE:
        await user.run("async url => { await fetch(url).catch(() => {}); }", url)
    assert [url.removeprefix(hubbub.url) for url in asked] == list(SENT_HERE.values())
    asked.clear()
    for url in NOT_SENT_HERE:
        await user.run("async url => { await fetch(new Request(url)).catch(() => {}); }", url)
    assert asked == NOT_SENT_HERE
    await user.page.context.close()


# --- the files, without a browser ---


async def fetch(path: str, headers: dict[str, str] | None = None, **settings: Any) -> httpx.Response:
    async with (
        Server(Settings(port=0, **settings)) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
    ):
        return await client.get(path, headers=headers)


ELSEWHERE = {"Host": "chat.example:81", "X-Forwarded-Host": "public.example", "X-Forwarded-Proto": "https"}
CHAIN = {"X-Forwarded-Host": "public.example, inner.example", "X-Forwarded-Proto": "https, http"}


@pytest.mark.parametrize(
    ("headers", "settings", "expected"),
    [
        (ELSEWHERE, {}, "http://chat.example:81"),
        (ELSEWHERE, {"forwarded": True}, "https://public.example"),
        (CHAIN, {"forwarded": True}, "https://public.example"),
        ({**ELSEWHERE, "X-Forwarded-Proto": "gopher"}, {"forwarded": True}, "http://public.example"),
        (ELSEWHERE, {"public_url": "https://a.example", "forwarded": True}, "https://a.example"),
        ({"Host": "[::1]:80"}, {}, "http://[::1]:80"),
    ],
)
async def test_whose_address_the_files_name(headers: dict[str, str], settings: Any, expected: str) -> None:
    answer = await fetch("/cdn/ap21/admin-v1.json", headers, secret=SECRET, **settings)
    assert answer.json()["service_public"] == f"{expected}/skapi/"


@pytest.mark.parametrize("host", ["a'+alert(1)+'", "a/b", "a b", "<script>", "a:99999999", "é"])
async def test_a_host_that_is_none_gets_into_nothing(host: str) -> None:
    for name in ("Host", "X-Forwarded-Host"):
        headers: Any = {name: host.encode()}
        answer = await fetch("/point_skapi.js", headers, secret=SECRET, forwarded=True)
        assert answer.status_code == 400 or "const server = 'http://127.0.0.1:" in answer.text


@pytest.mark.parametrize("path", ["/cdn/ap21", "/cdn/x.cloudfront.net/us31"])
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_files_of_both_lines(path: str, version: str) -> None:
    """The 2.0 line asks for ``v2``; all are read by pages of other origins, and must be ASCII."""
    for kind in ("admin", "record"):
        answer = await fetch(f"{path}/{kind}-{version}.json", secret=SECRET)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert answer.text.isascii()
        urls = [url for name, url in answer.json().items() if not name.startswith("userpool")]
        assert all(url.endswith(("/skapi/", "/skapi/connect")) for url in urls)


@pytest.mark.parametrize("path", ["/cdn/ap21/other-v1.json", "/cdn/ap21/admin-v3.json", "/cdn/ap21/admin-v1.html"])
async def test_other_files_are_not_there(path: str) -> None:
    assert (await fetch(path)).status_code >= 400
