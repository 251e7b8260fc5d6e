"""The HTTP API against a running server: what it answers, to whom, and what it refuses."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import httpx
import pytest

from hubbub.server import Server
from support.clients import SECRET, Peer, bearer, server_bearer, token

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]
Start = Callable[..., Awaitable[Server]]

ODD_NAMES = ["a/b", "..", ".", "%2F", "a b+c", "ä€😀", "\0", "\n", "?x=1#y", "x" * 256, "users", '"', "\\", "\u2028"]


# --- looking around ---------------------------------------------------------------------------------------------------


async def test_groups_are_listed_and_searched(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    for guest, group in [("ada", "Hello"), ("bob", "Hello"), ("cy", "HelloWorld"), ("dan", "Other")]:
        await peers(server, guest=guest, group=group)

    async def names(**params: object) -> list[str]:
        answer = await http.get("/v1/groups", params=params)
        assert answer.status_code == 200, answer.text
        return [row["group"] for row in answer.json()["list"]]

    assert await names() == ["Hello", "HelloWorld", "Other"]
    assert await names(ascending="false") == ["Other", "HelloWorld", "Hello"]
    assert await names(value="Hello") == ["Hello"]
    assert await names(value="Hello", condition=">=") == ["Hello", "HelloWorld"]
    assert await names(value="HelloWorld", range="Z", searchFor="group") == ["HelloWorld", "Other"]
    assert await names(searchFor="number_of_users") == ["HelloWorld", "Other", "Hello"]
    assert await names(searchFor="number_of_users", value="2") == ["Hello"]
    assert await names(searchFor="number_of_users", value="0.5", range="1") == ["HelloWorld", "Other"]
    answer = await http.get("/v1/groups?value=Hello")
    assert answer.json() == {
        "list": [{"group": "Hello", "number_of_users": 2, "number_of_connections": 2}],
        "startKey": "end",
        "endOfList": True,
    }


async def test_pages_continue_with_the_cursor_as_json(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    for n in range(5):
        await peers(server, guest=f"u{n}", group=f"g{n}")
        await peers(server, guest=f"v{n}", group="all")
    for path, key, expected in [
        ("/v1/groups", "group", ["all", "g0", "g1", "g2", "g3", "g4"]),
        ("/v1/groups/all/users", "user_id", ["v0", "v1", "v2", "v3", "v4"]),
    ]:
        seen, start_key = [], "start"
        while start_key != "end":
            page = (await http.get(path, params={"limit": 2, "startKey": start_key})).json()
            assert len(page["list"]) <= 2
            seen += [row[key] for row in page["list"]]
            start_key = page["startKey"] if page["endOfList"] else json.dumps(page["startKey"])
        assert seen == expected
        assert (await http.get(path, params={"startKey": "end"})).json()["list"] == []


async def test_users_of_a_group_are_listed(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    ada, bob = [await peers(server, guest=name, group="g") for name in ("ada", "bob")]
    rows = [{"user_id": peer.welcome["user_id"], "connection_id": peer.welcome["connection_id"]} for peer in (ada, bob)]
    assert (await http.get("/v1/groups/g/users")).json()["list"] == rows
    assert (await http.get("/v1/groups/g/users?ascending=false")).json()["list"] == rows[::-1]
    assert (await http.get("/v1/groups/g/users?user_id=bob")).json()["list"] == rows[1:]
    assert (await http.get("/v1/groups/nobody/users")).json() == {"list": [], "startKey": "end", "endOfList": True}


async def test_names_of_any_characters_come_through_the_path(secured: Server, browse: Browse, peers: Peers) -> None:
    http = browse(secured, headers=server_bearer())
    for n, name in enumerate(ODD_NAMES):
        peer = await peers(secured, token=token(f"u{n}"), group=name)
        path = f"/v1/groups/{quote(name, safe='')}".replace("/.", "/%2E").replace("%2E.", "%2E%2E")
        listed = (await http.get(f"{path}/users")).json()["list"]
        assert [row["user_id"] for row in listed] == [f"u{n}"], name
        sent = await http.post(f"{path}/messages", json={"message": n})
        assert sent.json()["recipients"] == 1, name
        assert (await peer.event())["sender_rid"] == name


async def test_a_token_sees_the_groups_that_it_may_join(secured: Server, browse: Browse, peers: Peers) -> None:
    for name in ("open-1", "open-2", "secret"):
        await peers(secured, token=token(name), group=name)
    http = browse(secured, headers=bearer(groups=["open-*"]))
    rows = (await http.get("/v1/groups")).json()["list"]
    assert [row["group"] for row in rows] == ["open-1", "open-2"]
    assert (await http.get("/v1/groups/open-1/users")).status_code == 200
    assert (await http.get("/v1/groups/secret/users")).status_code == 403


# --- posting and disconnecting ----------------------------------------------------------------------------------------


async def test_a_server_token_posts_to_a_group(secured: Server, browse: Browse, peers: Peers) -> None:
    members = [await peers(secured, token=token(name), group="g") for name in ("ada", "bob")]
    http = browse(secured, headers=server_bearer("backend"))
    for message in [{"msg": "hi"}, None, 0, False, "", [1.5, "ä😀"]]:
        answer = await http.post("/v1/groups/g/messages", json={"message": message})
        assert answer.json() == {"type": "success", "message": "Message sent.", "recipients": 2}
        for member in members:
            while (event := await member.event())["type"] != "message":
                pass
            assert (event["message"], event["sender"], event["sender_cid"]) == (message, "backend", None)
    assert (await http.post("/v1/groups/empty/messages", json={"message": 1})).json()["recipients"] == 0


async def test_a_post_with_a_key_is_done_once_and_one_that_too_few_would_hear_not_at_all(
    secured: Server, browse: Browse, peers: Peers
) -> None:
    member = await peers(secured, token=token("ada"), group="g")
    http = browse(secured, headers=server_bearer())
    for to, body, expected in (
        ("groups/g", {"message": 1, "key": "k"}, [200, 200]),
        ("users/ada", {"message": 2, "key": "k"}, [200, 200]),
        ("groups/g", {"message": 3, "min_recipients": 2}, [409, 409]),
        ("users/ada", {"message": 4, "min_recipients": 2}, [409, 409]),
        ("groups/g", {"message": 5, "min_recipients": 1}, [200]),
        ("groups/g", {"message": 6, "key": ""}, [400]),
        ("groups/g", {"message": 6, "min_recipients": -1}, [400]),
        ("users/ada", {"message": 6, "key": 1}, [400]),
    ):
        assert [(await http.post(f"/v1/{to}/messages", json=body)).status_code for _ in expected] == expected
    assert [(await member.event())["message"] for _ in range(3)] == [1, 2, 5]
    assert await member.quiet()


async def test_a_message_is_passed_on_as_it_was_written(secured: Server, browse: Browse, peers: Peers) -> None:
    member = await peers(secured, token=token(), group="g")
    http = browse(secured, headers=server_bearer())
    for text in ['{"a":1,"a":2}', "1.000", '"\\u00e4"', "1e300", '{ "x" : [ ] }']:
        assert (await http.post("/v1/groups/g/messages", content=f'{{"message":{text}}}')).status_code == 200
        assert f'"message":{text},' in await member.socket.recv()


async def test_a_server_token_posts_to_a_user(secured: Server, browse: Browse, peers: Peers) -> None:
    tabs = [await peers(secured, token=token("ada/1")) for _ in range(2)]
    http = browse(secured, headers=server_bearer("backend"))
    answer = await http.post("/v1/users/ada%2F1/messages", json={"message": "psst"})
    assert answer.json() == {"type": "success", "message": "Message sent.", "recipients": 2}
    for tab in tabs:
        assert await tab.event() == {
            "type": "private",
            "message": "psst",
            "sender": "backend",
            "sender_cid": None,
            "sender_rid": None,
            "code": None,
            "seq": 1,
        }
    assert (await http.post("/v1/users/nobody/messages", json={"message": 1})).json()["recipients"] == 0


async def test_a_server_token_disconnects(secured: Server, browse: Browse, peers: Peers) -> None:
    tokens = [token(name) for name in ("ada", "ada", "bob")]
    first, second, bob = [await peers(secured, token=each) for each in tokens]
    http = browse(secured, headers=server_bearer())
    connection = bob.welcome["connection_id"]
    assert (await http.delete("/v1/users/ada")).json() == {"disconnected": 2}
    assert [await first.closed(), await second.closed()] == [4003, 4003]
    assert (await http.delete(f"/v1/connections/{connection}")).json() == {"disconnected": 1}
    assert await bob.closed() == 4003
    assert (await http.delete("/v1/users/ada")).json() == {"disconnected": 0}
    assert (await http.delete(f"/v1/connections/{connection}")).json() == {"disconnected": 0}


# --- rights -----------------------------------------------------------------------------------------------------------

SERVER_ONLY = [
    ("POST", "/v1/groups/g/messages"),
    ("POST", "/v1/users/u/messages"),
    ("DELETE", "/v1/users/u"),
    ("DELETE", "/v1/connections/c"),
]
WITH_TOKEN = [("GET", "/v1/groups"), ("GET", "/v1/groups/g/users")]
WRONG = {
    "none": {},
    "not bearer": {"Authorization": "Basic YTpi"},
    "empty": {"Authorization": "Bearer"},
    "nonsense": {"Authorization": "Bearer x.y.z"},
    "expired": bearer(ttl=-60, role="server"),
    "other secret": bearer(secret=SECRET[::-1], role="server"),
}


async def test_without_a_valid_token_nothing_is_shown_or_done(
    secured: Server, browse: Browse, subtests: pytest.Subtests
) -> None:
    http = browse(secured)
    for what, headers in WRONG.items():
        for method, path in WITH_TOKEN + SERVER_ONLY:
            with subtests.test(f"{what}: {method} {path}"):
                answer = await http.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
                assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_ordinary_token_may_neither_post_nor_disconnect(secured: Server, browse: Browse, peers: Peers) -> None:
    bystander = await peers(secured, token=token("u"), group="g")
    http = browse(secured, headers=bearer("u"))
    for method, path in SERVER_ONLY:
        answer = await http.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert await bystander.quiet()


async def test_a_server_token_for_some_groups_posts_to_those_only(secured: Server, browse: Browse) -> None:
    http = browse(secured, headers=server_bearer(groups=["mine"]))
    assert (await http.post("/v1/groups/mine/messages", json={"message": 1})).status_code == 200
    assert (await http.post("/v1/groups/other/messages", json={"message": 1})).status_code == 403


async def test_guests_look_around_without_a_token_but_do_nothing(http: httpx.AsyncClient) -> None:
    for method, path in WITH_TOKEN:
        assert (await http.request(method, path)).status_code == 200
    for method, path in SERVER_ONLY:
        assert (await http.request(method, path)).status_code == 401


async def test_a_token_in_the_address_is_refused(secured: Server, browse: Browse) -> None:
    answer = await browse(secured).get("/v1/groups", params={"token": token()})
    assert answer.status_code == 401
    answer = await browse(secured, headers=bearer()).get("/v1/groups?token=x")
    assert answer.status_code == 400
    assert "Authorization" in answer.json()["error"]["message"]


async def test_keys_that_cannot_be_fetched_are_not_the_callers_fault(start: Start, browse: Browse) -> None:
    server = await start(jwks_url="http://127.0.0.1:9/keys")  # nothing listens on the port "discard"
    header, claims, signature = token().split(".")
    header = urlsafe_b64encode(b'{"alg":"RS256","kid":"k"}').decode().rstrip("=")
    http = browse(server, headers={"Authorization": f"Bearer {header}.{claims}.{signature}"})
    answer = await http.get("/v1/groups")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert "Retry-After" in answer.headers
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["keys"], ready.json()["backend"]) == (503, False, True)


# --- health -----------------------------------------------------------------------------------------------------------


async def test_health_and_readiness(server: Server, http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    ready = {"ready": True, "draining": False, "backend": True, "keys": True}
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, ready)
    server.node.draining = True
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {**ready, "ready": False, "draining": True})
    assert (await http.get("/healthz")).status_code == 200


# --- addresses --------------------------------------------------------------------------------------------------------


async def test_unknown_addresses_are_404(http: httpx.AsyncClient) -> None:
    for path in ["/nothing", "/v1", "/v1/", "/v1/groups/", "/v1/groups/g", "/v1/groups/a/b/users", "/v1//groups"]:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "INVALID_REQUEST"), path
        assert "/openapi.json" in answer.json()["error"]["message"]


METHODS = [
    ("POST", "/v1/groups", "GET, HEAD"),
    ("OPTIONS", "/v1/groups", "GET, HEAD"),
    ("GET", "/v1/groups/g/messages", "POST"),
    ("GET", "/v1/users/u", "DELETE"),
    ("POST", "/healthz", "GET, HEAD"),
    ("DELETE", "/", "GET, HEAD"),
]


async def test_other_methods_are_405_and_say_which_are_right(http: httpx.AsyncClient) -> None:
    for method, path, allow in METHODS:
        answer = await http.request(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allow)
        assert answer.json()["error"]["code"] == "INVALID_REQUEST"


async def test_the_address_of_the_websocket_says_so(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/connect")
    assert (answer.status_code, answer.headers["Upgrade"]) == (426, "websocket")


async def test_head_answers_like_get_without_a_body(http: httpx.AsyncClient) -> None:
    get, head = await http.get("/v1/groups"), await http.head("/v1/groups")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"] != "0"
