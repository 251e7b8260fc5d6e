"""The endpoints under ``/v1``: what each answers, who may ask, and what is checked first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.requests import HTTPConnection

from hubbub import Hub, User
from hubbub.errors import Close
from hubbub.server import Server
from support.clients import SECRET, Peer, bearer, server_bearer, token
from support.hook_app import SECRET as HOOKS_SECRET
from support.hub import serve

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]
Start = Callable[..., Awaitable[Server]]

SERVER_ONLY = [
    ("POST", "/v1/groups/g/messages"),
    ("POST", "/v1/users/u/messages"),
    ("DELETE", "/v1/users/u"),
    ("DELETE", "/v1/connections/c"),
]


async def test_without_an_upgrade_the_address_of_the_websocket_refuses(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/connect")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")


async def test_guests_list_groups_and_users(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    ada = await peers(server, guest="ada", group="a/b")
    groups, users = await http.get("/v1/groups"), await http.get("/v1/groups/a%2Fb/users")
    assert groups.json()["list"] == [{"group": "a/b", "number_of_users": 1, "number_of_connections": 1}]
    assert users.json()["list"] == [{"user_id": "ada", "connection_id": ada.welcome["connection_id"]}]


async def test_a_token_decides_what_is_listed(secured: Server, browse: Browse, peers: Peers) -> None:
    for group in ("a", "b"):
        await peers(secured, token=token("ada"), group=group)
    reader = browse(secured, headers=bearer("bob", groups=["b"]))
    assert [row["group"] for row in (await reader.get("/v1/groups")).json()["list"]] == ["b"]
    assert (await reader.get("/v1/groups/a/users")).status_code == 403


@pytest.mark.parametrize("path", ["/v1/groups", "/v1/groups/g/users"])
@pytest.mark.parametrize(
    ("authorization", "text"),
    [
        (None, "A token is missing"),
        ("Basic YTpi", "another scheme"),
        ("Bearer", "token"),
        ("Bearer x.y.z", "token"),
    ],
)
async def test_callers_that_are_not_identified(
    secured: Server, browse: Browse, path: str, authorization: str | None, text: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await browse(secured, headers=headers).get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    assert text in answer.json()["error"]["message"]
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_is_read_in_any_case(secured: Server, browse: Browse) -> None:
    headers = {"Authorization": f"bEARER   {token()}"}
    assert (await browse(secured, headers=headers).get("/v1/groups")).status_code == 200


@pytest.mark.parametrize(("method", "path"), SERVER_ONLY)
async def test_only_a_server_token_may(secured: Server, browse: Browse, method: str, path: str) -> None:
    missing = await browse(secured).request(method, path, content=b"not read")
    assert (missing.status_code, missing.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    assert "server token is missing" in missing.json()["error"]["message"]
    user = await browse(secured, headers=bearer()).request(method, path, content=b"not read")
    assert (user.status_code, user.json()["error"]["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize(("method", "path"), [each for each in SERVER_ONLY if each[1] != "/v1/users/u"])
async def test_a_query_that_means_nothing_is_refused(secured: Server, browse: Browse, method: str, path: str) -> None:
    backend = browse(secured, headers=server_bearer())
    answer = await backend.request(method, path + "?for=60", json={"message": 1} if method == "POST" else None)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_PARAMETER")


async def test_a_server_posts_to_groups_and_users(secured: Server, browse: Browse, peers: Peers) -> None:
    ada = await peers(secured, token=token("ada"), group="g")
    backend = browse(secured, headers=server_bearer())
    for path, kind in [("/v1/groups/g/messages", "message"), ("/v1/users/ada/messages", "private")]:
        body = {"message": {"n": 1}, "key": path, "min_recipients": 1}
        answers = [await backend.post(path, json=body) for _ in range(2)]
        assert [answer.json()["recipients"] for answer in answers] == [1, 1]
        event = await ada.event()
        while event["type"] == "notice":
            event = await ada.event()
        assert (event["type"], event["message"], event["sender"]) == (kind, {"n": 1}, "backend")
    assert await ada.quiet()  # the second post of each key was not sent again


async def test_a_body_that_is_too_long_is_refused(start: Start, browse: Browse) -> None:
    server = await start(secret=SECRET, max_command=2000, max_message=1000)
    backend = browse(server, headers=server_bearer())
    for path in ("/v1/groups/g/messages", "/v1/users/u/messages"):
        assert (await backend.post(path, json={"message": "x" * 2000})).status_code == 413


async def test_a_server_disconnects_users_and_connections(secured: Server, browse: Browse, peers: Peers) -> None:
    ada, bob = await peers(secured, token=token("ada")), await peers(secured, token=token("bob"))
    backend = browse(secured, headers=server_bearer())
    one = await backend.delete(f"/v1/connections/{bob.welcome['connection_id']}")
    user = await backend.delete("/v1/users/ada?for=60")
    assert [one.json(), user.json()] == [{"disconnected": 1}] * 2
    assert [await ada.closed(), await bob.closed()] == [Close.DISCONNECTED] * 2
    again = await peers(secured)
    assert (await again.fail("connect", token=token("ada")))["code"] == "FORBIDDEN"
    for path in ("/v1/users/ada", "/v1/connections/nobody"):
        assert (await backend.delete(path)).json() == {"disconnected": 0}
    for path in ("/v1/users/", "/v1/connections/"):
        assert (await backend.delete(path + "x" * 300)).status_code == 400


@pytest.mark.parametrize("keys", [{}, {"secret": SECRET}])
async def test_a_hub_says_what_to_do_where_a_cookie_is_not_enough(keys: dict[str, str]) -> None:
    hub = Hub(**keys)

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User:
        return User(conn.cookies["user"])

    async with serve(hub) as running, httpx.AsyncClient(base_url=running.url, cookies={"user": "ada"}) as client:
        lists = await client.get("/v1/groups")
        posts = await client.post("/v1/groups/g/messages", json={"message": 1})
    for answer, instead in [(lists, "over the WebSocket, or at an address of the app"), (posts, "hub.post(")]:
        assert answer.status_code == 401
        text = answer.json()["error"]["message"]
        assert instead in text
        assert ("oken is missing" if keys else "accepts no tokens") in text


@pytest.mark.parametrize("keys", [{}, {"secret": SECRET}])
async def test_a_server_that_asks_an_app_over_http_says_it_too(
    keys: dict[str, str], start: Start, browse: Browse
) -> None:
    server = await start(hooks="http://127.0.0.1:9/", hooks_secret=HOOKS_SECRET, **keys)
    answer = await browse(server, cookies={"user": "ada"}).get("/v1/groups")
    text = answer.json()["error"]["message"]
    assert (answer.status_code, "hub." in text) == (401, False)
    assert ("oken is missing" if keys else 'give it a "secret"') in text


async def test_requests_of_one_user_have_a_rate(start: Start, browse: Browse) -> None:
    server = await start(secret=SECRET, http_rate_limit=0.01, http_rate_burst=2)
    ada, bob = browse(server, headers=bearer("ada")), browse(server, headers=bearer("bob"))
    assert [(await ada.get("/v1/groups")).status_code for _ in range(3)] == [200, 200, 429]
    assert (await bob.get("/v1/groups")).status_code == 200
