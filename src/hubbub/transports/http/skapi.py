"""The HTTP calls of ``skapi-js``: finding the server, listing groups and users, names. Errors in its own shape.

The client reads ``{"code", "message"}`` from an answer of 400 or more, and can read nothing at all that does not allow
its page's origin. So everything here does, also what is refused and what went wrong: see `_readers`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubbub.auth.identity import Identity
from hubbub.dialects.explain import explain
from hubbub.errors import HTTP_STATUS, CommandError, ErrorCode, invalid
from hubbub.messages import Condition, GroupRow, Groups, Order, Page, Users
from hubbub.node import Node
from hubbub.settings import Settings
from hubbub.transports.hosts import is_local
from hubbub.transports.http.errors import INTERNAL
from hubbub.transports.http.input import read_body
from hubbub.transports.http.request_rates import RequestRates
from hubbub.transports.http.skapi_discovery import discovery, pointer, server_url
from hubbub.transports.refusal import HttpError

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    # "Authorization" must be named: "*" does not cover it (Fetch standard, "CORS non-wildcard request-header name").
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Content-Meta, X-Access-Token, X-Id-Token, "
    "Cache-Control, Pragma, X-Amz-Target, X-Amz-User-Agent",
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "600",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

_METHODS = ["GET", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"]  # what is not offered is refused in a readable answer

log = logging.getLogger("hubbub.http")

Call = Callable[[Request], Awaitable[Any]]
T = TypeVar("T")


class _Query(msgspec.Struct, rename={"search_for": "searchFor", "start_key": "startKey"}):
    """The body of ``get-ws-group``, which asks for groups or, if it names one, for the users in it."""

    service: str = ""
    group: str | None = None
    user_id: str | None = None
    search_for: Order | None = None
    value: str | int | float | None = None
    condition: Condition | None = None
    range: str | int | float | bool | None = None
    limit: int | None = None
    ascending: bool = True
    start_key: dict[str, Any] | str | None = None


class _WhoIs(msgspec.Struct, rename={"search_for": "searchFor"}):
    """The body of ``get-users``, as far as it is answered: one user by id."""

    search_for: Literal["user_id"]
    value: str
    condition: Literal["=", "eq"] = "="


def skapi_routes(node: Node, rates: RequestRates) -> list[Route]:
    """Return every address of the client's HTTP calls."""
    calls = SkapiCalls(node, rates)
    files = r"/{region}/{kind}-{version}.json"
    table: dict[str, Call] = {
        "/point_skapi.js": calls.point,
        f"/cdn{files}": calls.find,
        f"/cdn/x.cloudfront.net{files}": calls.find,
        "/skapi/service": calls.service,
        "/skapi/get-ws-group": calls.get_ws_group,
        "/skapi/get-users": calls.get_users,
        "/skapi/cognito": calls.cognito,
        "/skapi/{call:path}": calls.anything_else,
    }
    # Not in the OpenAPI document: they are what one client asks for, not an interface to write against.
    return [
        Route(path, _readable(node.settings, call), methods=_METHODS, include_in_schema=False)
        for path, call in table.items()
    ]


class SkapiCalls:
    """The calls. Each returns what is to be encoded, or a response of its own.

    Args:
        node: What they ask.
        rates: How many requests each user may make.
    """

    def __init__(self, node: Node, rates: RequestRates) -> None:
        self._node = node
        self._rates = rates

    async def point(self, request: Request) -> Response:
        """Return the script that points a page here."""
        script = pointer(server_url(request, self._node.settings))
        return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    async def find(self, request: Request) -> dict[str, str]:
        """Say where everything is. The region does not matter."""
        kind, version = request.path_params["kind"], request.path_params["version"]
        if kind not in {"admin", "record"} or version not in {"v1", "v2"}:
            raise _NotHereError("There is no such file.")
        return discovery(kind, server_url(request, self._node.settings))

    async def service(self, request: Request) -> dict[str, Any]:
        """Describe the service. Any object will do; a ``group`` of 3 keeps the client's advertisements away."""
        return {
            "ip": request.client.host if request.client else "",
            "user_agent": request.headers.get("user-agent", ""),
            "locale": "",
            "group": 3,
            "service_name": "Hubbub",
            "service_description": "",
            "opt": {
                "freeze_database": False,
                "prevent_inquiry": False,
                "prevent_signup": True,
                "prevent_anonymous": True,
            },
        }

    async def get_ws_group(self, request: Request) -> dict[str, Any]:
        """List groups, or the users in a group."""
        identity = await self._identify(request)
        query = await self._read(request, _Query)
        if query.group is not None:
            return _answer(await self._node.services.users(identity, _users(query)), query.service)
        asked = (query.search_for, query.value, query.condition, query.range)
        if all(field is None for field in asked):  # version 1.2.2 asks so for the users of no group
            raise invalid('"group" is missing.')
        return _answer(await self._node.services.groups(identity, _groups(query)), query.service)

    async def get_users(self, request: Request) -> dict[str, Any]:
        """Return what the token of a user who is connected now says of the name; an empty list for others."""
        await self._identify(request)
        who = await self._read(request, _WhoIs)
        found = self._node.who_is(who.value)
        users = [] if found is None else [{"user_id": found.user_id, "name": found.name or found.user_id}]
        return {"list": users, "startKey": "end", "endOfList": True}

    async def cognito(self, request: Request) -> Response:
        """Answer for Amazon Cognito: there are no passwords here. The client shows what follows ``#code:``."""
        # Not a NotAuthorizedException, for which it has a text of its own; and no second colon, where 1.2.2 cuts.
        text = "#INVALID_REQUEST: Hubbub has no passwords; give the page tokens, and call loginWithToken() with them."
        body = json.dumps({"__type": "UserLambdaValidationException", "message": text})
        return Response(body, 400, media_type="application/x-amz-json-1.1")

    async def anything_else(self, request: Request) -> None:
        """Refuse what Skapi has and Hubbub has not."""
        raise _NotHereError(f'Hubbub has realtime groups only; it has no "{request.path_params["call"][:100]}".')

    async def _identify(self, request: Request) -> Identity:
        """Return whom the idToken identifies, which comes bare in ``Authorization``."""
        token = request.headers.get("authorization", "")
        if not token:
            raise CommandError(ErrorCode.UNAUTHORIZED, "User login is required.")
        identity = await self._node.auth.authenticate(token.strip())
        self._rates.spend(identity, self._node.now())
        return identity

    async def _read(self, request: Request, type_: type[T]) -> T:
        body = await read_body(request, self._node.settings.max_command)
        try:
            # Python reads numbers like 1e290 a hundred times as quickly as msgspec does, and a cursor may hold many.
            return msgspec.json.Decoder(type_, float_hook=float).decode(body)
        except msgspec.ValidationError as error:
            raise invalid(explain(str(error))) from None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise invalid("The body is not JSON, or a text in it is not Unicode.") from None


class _NotHereError(CommandError):
    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_REQUEST, message)


def _groups(query: _Query) -> Groups:
    """Translate a search for groups. The client always sends a value and a condition, or a value and a range."""
    order, value, condition = query.search_for or "group", query.value, query.condition
    if value is None:  # version 1.2.2 leaves out what it means; later ones say so
        value = " " if order == "group" else 0
        condition = condition or ">"
    # A range that counts as false in JavaScript comes together with a condition, which then was meant.
    last = query.range if condition is None and not isinstance(query.range, bool) else None
    if order == "group" and value == " " and condition in {">", "gt"}:
        value = condition = None  # how the client says "all", even those whose names sort below a space
    return Groups(
        search_for=order,
        value=value,
        condition=condition,
        range=last,
        limit=query.limit,
        ascending=query.ascending,
        start_key=query.start_key,
    )


def _users(query: _Query) -> Users:
    return Users(
        group=query.group,
        user_id=query.user_id,
        limit=query.limit,
        ascending=query.ascending,
        start_key=query.start_key,
    )


def _answer(page: Page, service: str) -> dict[str, Any]:
    """Translate a page. The client cuts names and user ids out from behind the first ``#``."""
    rows: list[dict[str, Any]] = []
    for row in page.list:
        if isinstance(row, GroupRow):
            rows.append({"rid": f"{service}#{row.group}", "cnt": row.number_of_users})
        else:
            rows.append({"uid": f"{service}#{row.user_id}", "cid": row.connection_id})
    return {"list": rows, "startKey": page.start_key, "endOfList": page.end_of_list}


def _readable(settings: Settings, call: Call) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of a call: answer preflights, and let the pages that may read whatever comes out."""

    async def endpoint(request: Request) -> Response:
        headers = _readers(settings, request.headers.get("origin"))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        try:
            content = await call(request)
            answer = content if isinstance(content, Response) else _json(content)
        except CommandError as error:
            answer = _json({"code": error.code, "message": error.message}, HTTP_STATUS[error.code])
            if isinstance(error, HttpError):
                answer.headers.update(error.headers)
        except Exception:
            log.exception("%s %s failed", request.method, request.scope["path"])
            answer = _json({"code": INTERNAL.code, "message": INTERNAL.message}, 500)
        answer.headers.update(headers)
        return answer

    endpoint.__name__ = f"skapi_{call.__name__}"
    return endpoint


def _readers(settings: Settings, origin: str | None) -> dict[str, str]:
    """Return the headers that say which pages may read an answer.

    All may, since no cookie gives any rights. But while guests are let in, the server is one on somebody's own machine,
    and any page that they visit could learn that it runs there and what it says. So then only pages on this machine
    may, and those of the origins in the settings.
    """
    if not settings.allow_guests or "*" in settings.origins:
        return CORS
    host = "" if origin is None else origin.partition("://")[2]  # none in "null", the origin of sandboxed frames
    if origin is not None and (origin in settings.origins or (host and is_local(host))):
        return {**CORS, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return {"Vary": "Origin"}


def _json(content: Any, status: int = 200) -> Response:
    # In ASCII: the client decodes some answers as Latin-1.
    return Response(json.dumps(content), status, {"Cache-Control": "no-store"}, "application/json")
