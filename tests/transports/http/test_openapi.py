"""The OpenAPI document against the server: no address is missing from it, and no answer differs from it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hubbub.errors import CommandError, ErrorCode
from hubbub.server import Server
from hubbub.settings import Settings
from hubbub.transports.http.app import routes
from hubbub.transports.http.openapi import openapi
from support.clients import SECRET, Peer, bearer, server_bearer, token

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]
Start = Callable[..., Awaitable[Server]]
Json = dict[str, Any]

DOCUMENT = openapi(Settings())

EVERYWHERE = {404, 405, 408, 431}
"""What the description says of all addresses together."""


def operations() -> dict[tuple[str, str], Json]:
    return {
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }


def find(method: str, path: str) -> tuple[str, str]:
    """Return the operation that answers to a request."""
    for known_method, template in operations():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]*", re.escape(template))
        if known_method == method and re.fullmatch(pattern, path.partition("?")[0]):
            return known_method, template
    raise AssertionError(f"{method} {path} is not in the document")


def check(answer: httpx.Response) -> tuple[str, str, str]:
    """Hold an answer against the document; return method, path and status as they stand there."""
    method, template = find(answer.request.method, answer.request.url.raw_path.decode())
    described = operations()[method, template]["responses"]
    assert str(answer.status_code) in described, (method, template, answer.status_code, answer.text)
    media_type = answer.headers["Content-Type"].partition(";")[0]
    content = described[str(answer.status_code)]["content"]
    assert media_type in content or "*/*" in content
    if media_type == "application/json":
        schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(answer.json())
    return method, template, str(answer.status_code)


async def test_every_route_is_described_and_every_description_has_a_route(server: Server) -> None:
    shown = [route for route in routes(server.node) if route.include_in_schema]
    found = {(method, route.path_format) for route in shown for method in route.methods - {"HEAD"}}
    assert found == set(operations())


def test_the_document_holds_together() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert {ref.rpartition("/")[2] for ref in re.findall(r"#/components/schemas/\w+", str(DOCUMENT))} <= set(schemas)
    names = [operation["operationId"] for operation in operations().values()]
    assert len(names) == len(set(names))
    for (_, path), operation in operations().items():
        in_path = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", path)
        assert all("description" in answer for answer in operation["responses"].values())
        for parameter in operation.get("parameters", ()):
            schema = parameter.get("schema") or parameter["content"]["application/json"]["schema"]
            Draft202012Validator.check_schema(schema)
    assert set(schemas["ErrorCode"]["enum"]) == set(ErrorCode)


async def test_the_parameters_are_those_that_are_taken(http: httpx.AsyncClient) -> None:
    for path in ("/v1/groups", "/v1/groups/{group}/users"):  # those that guests may use
        described = {each["name"] for each in operations()["GET", path]["parameters"] if each["in"] == "query"}
        answer = await http.get(path.format(group="g"), params={"nonsense": 1})
        listed = re.search(r"Known parameters: (.*)\.", answer.json()["error"]["message"])
        assert listed is not None
        assert described == set(listed[1].split(", "))


async def test_the_document_follows_the_settings(start: Start, browse: Browse) -> None:
    http = browse(await start(max_page=7, max_group_name=9))
    paths = (await http.get("/openapi.json")).json()["paths"]
    parameters = {each["name"]: each for each in paths["/v1/groups/{group}/users"]["get"]["parameters"]}
    assert parameters["limit"]["schema"]["maximum"] == 7
    assert parameters["limit"]["schema"]["default"] == 7
    assert parameters["group"]["schema"]["maxLength"] == 9


async def test_every_described_answer_can_be_had_and_is_as_described(
    secured: Server, start: Start, browse: Browse, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await peers(secured, token=token("ada"), group="g")
    for name in ("b", "c"):
        await peers(secured, token=token(name), group="h")
    seen: set[tuple[str, str, str]] = set()
    http = browse(secured)

    async def ask(method: str, path: str, **options: Any) -> None:
        seen.add(check(await http.request(method, path, **options)))

    with_token = [
        ("GET", "/v1/groups"),
        ("GET", "/v1/groups/g/users"),
        ("POST", "/v1/groups/g/messages"),
        ("POST", "/v1/users/ada/messages"),
        ("DELETE", "/v1/users/nobody"),
        ("DELETE", "/v1/connections/none"),
    ]
    all_of_it = server_bearer()
    body = {"json": {"message": {"msg": "hi"}}}
    for method, path in with_token:
        options = body if method == "POST" else {}
        await ask(method, path, headers=all_of_it, **options)
        await ask(method, path)
        await ask(method, path, headers=bearer("u", groups=["x"]) if method == "GET" else bearer("u"))
        await ask(method, f"{path}?nonsense=1", headers=all_of_it, **options)
        if method == "POST":
            await ask(method, path, headers=all_of_it, content=b'{"message":"' + b"x" * 70_000 + b'"}')
            await ask(method, path, headers={**all_of_it, "Content-Type": "text/plain"}, content=b"x")
    await ask("GET", "/v1/groups?limit=1", headers=all_of_it)
    await ask("GET", "/v1/groups?limit=1&searchFor=number_of_users", headers=all_of_it)
    await ask("GET", "/v1/groups/h/users?limit=1", headers=all_of_it)
    async with http.stream("GET", "/v1/events", headers=all_of_it) as feed:
        seen.add(check(feed))
    for headers in ({}, bearer("u"), {**all_of_it, "Accept": "text/html"}):
        await ask("GET", "/v1/events", headers=headers)
    await ask("GET", "/v1/events?nonsense=1", headers=all_of_it)
    monkeypatch.setattr("hubbub.auth.bans.MAX_BANS", 0)
    await ask("DELETE", "/v1/users/nobody?for=600", headers=all_of_it)
    files = ["/", "/demo/app.js", "/hubbub.js", "/hubbub.global.js", "/hubbub.d.ts"]
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/demo/nothing", "/v1/connect", *files]:
        await ask("GET", path)

    async def unavailable(*_: Any, **__: Any) -> None:
        raise CommandError(ErrorCode.UNAVAILABLE, "The store does not answer.")

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    operations_of_backend = ["groups", "users", "publish", "post_to_user", "disconnect_user", "disconnect_connection"]
    for failure in (unavailable, broken):
        with monkeypatch.context() as patch:
            for name in operations_of_backend:
                patch.setattr(secured.node.backend, name, failure)
            for method, path in with_token:
                await ask(method, path, headers=all_of_it, **(body if method == "POST" else {}))
            patch.setattr(secured.node.backend.feed, "read", failure)
            await ask("GET", "/v1/events", headers=all_of_it)
    busy = await start(secret=SECRET, http_rate_limit=0.01, http_rate_burst=1)
    http = browse(busy)
    await http.get("/v1/groups", headers=bearer("u"))
    for method, path in [*with_token, ("GET", "/v1/events")]:
        await ask(method, path, headers=bearer("u"), **(body if method == "POST" else {}))
    http = browse(secured)
    secured.node.draining = True
    await ask("GET", "/readyz")
    secured.node.draining = False
    http = browse(await start(demo=False))
    await ask("GET", "/")
    for method, path in with_token[:1]:
        await ask(method, path, headers={"Host": "evil.example"})

    # The WebSocket's answers come from another place; their bodies have the same shape.
    seen.add(("GET", "/v1/connect", "101"))
    assert ada.welcome["user_id"] == "ada"
    full = await start(secret=SECRET, max_connections=1)
    await peers(full)
    guests = (await start()).url
    for status, url, options in [
        ("400", secured.url, {"additional_headers": {"Sec-WebSocket-Key": "x"}}),
        ("401", secured.url, {"additional_headers": bearer("x", exp=0)}),
        ("403", guests.replace("127.0.0.1", "evil.example"), {"host": "127.0.0.1"}),
        ("503", full.url, {}),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            await connect(url.replace("http", "ws", 1) + "/v1/connect", proxy=None, **options)
        response = refused.value.response
        assert str(response.status_code) == status
        schema = {"$ref": "#/components/schemas/Error", "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(json.loads(bytes(response.body)))
        seen.add(("GET", "/v1/connect", status))

    described = {(*key, status) for key, operation in operations().items() for status in operation["responses"]}
    assert described - seen == set()
