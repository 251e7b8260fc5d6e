"""The HTTP calls of ``skapi-js``: discovery, lists of groups and users, names of users. Errors have the client's shape.

The client reads ``{"code", "message"}`` from an answer of 400 or more. It can read only answers that allow the origin
of its page, so all answers do, errors and failures included: see `_cors_headers`.
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
from hubbub.transports.http.errors import INTERNAL
from hubbub.transports.http.input import read_body
from hubbub.transports.http.request_rates import RequestRates
from hubbub.transports.http.skapi_discovery import discovery, pointer, server_url
from hubbub.transports.origins import is_local_origin
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

_METHODS = [
    "GET",
    "POST",
    "OPTIONS",
    "PUT",
    "DELETE",
    "PATCH",
]  # unknown calls are refused in an answer that the page may read

log = logging.getLogger("hubbub.http")

Call = Callable[[Request], Awaitable[Any]]
T = TypeVar("T")


class _Query(msgspec.Struct, rename={"search_for": "searchFor", "start_key": "startKey"}):
    """The body of ``get-ws-group``: a query for groups or, if it names one, for the users in it."""

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
    """The body of ``get-users``. Only queries for one user by id are supported."""

    search_for: Literal["user_id"]
    value: str
    condition: Literal["=", "eq"] = "="


def skapi_routes(node: Node, rates: RequestRates) -> list[Route]:
    """Return the routes of the client's HTTP calls."""
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
    # Not in the OpenAPI document: only this client uses them, and other programs should not.
    return [
        Route(path, _readable(node.settings, call), methods=_METHODS, include_in_schema=False)
        for path, call in table.items()
    ]


class SkapiCalls:
    """The calls. Each returns a value to encode as JSON, or a response.

    Args:
        node: Has the services and the settings.
        rates: How many requests each user may make.
    """

    def __init__(self, node: Node, rates: RequestRates) -> None:
        self._node = node
        self._rates = rates

    async def point(self, request: Request) -> Response:
        """Return the script that points a page at this server."""
        script = pointer(server_url(request, self._node.settings))
        return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    async def find(self, request: Request) -> dict[str, str]:
        """Return the addresses of all calls. The region does not matter."""
        kind, version = request.path_params["kind"], request.path_params["version"]
        if kind not in {"admin", "record"} or version not in {"v1", "v2"}:
            raise _NotHereError("There is no such file. Only the versions 1 and 2 of admin and record exist.")
        return discovery(kind, server_url(request, self._node.settings))

    async def service(self, request: Request) -> dict[str, Any]:
        """Describe the service. The client accepts any object; with a ``group`` of 3 it shows no advertisements."""
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
        if all(field is None for field in asked):  # version 1.2.2 sends this for the users of no group
            raise invalid('"group" is missing. Name a group, or search for groups.')
        return _answer(await self._node.services.groups(identity, _groups(query)), query.service)

    async def get_users(self, request: Request) -> dict[str, Any]:
        """Return the name from the token of a user who is connected to this node; an empty list for other users."""
        await self._identify(request)
        who = await self._read(request, _WhoIs)
        found = self._node.who_is(who.value)
        users = [] if found is None else [{"user_id": found.user_id, "name": found.name or found.user_id}]
        return {"list": users, "startKey": "end", "endOfList": True}

    async def cognito(self, request: Request) -> Response:
        """Answer in place of Amazon Cognito: Hubbub has no passwords. The client shows the text after ``#code:``."""
        # For a NotAuthorizedException it would show a text of its own; version 1.2.2 cuts the text at a second colon.
        text = "#INVALID_REQUEST: Hubbub has no passwords. Give the page a token and call loginWithToken() with it."
        body = json.dumps({"__type": "UserLambdaValidationException", "message": text})
        return Response(body, 400, media_type="application/x-amz-json-1.1")

    async def anything_else(self, request: Request) -> None:
        """Refuse a call that Skapi has and Hubbub does not have."""
        raise _NotHereError(
            f'Hubbub does not have the call "{request.path_params["call"][:100]}". It offers realtime groups only.'
        )

    async def _identify(self, request: Request) -> Identity:
        """Return who the idToken identifies. The client sends it in ``Authorization``, without a scheme."""
        token = request.headers.get("authorization", "")
        if not token:
            raise CommandError(ErrorCode.UNAUTHORIZED, "User login is required.")
        identity = await self._node.auth.authenticate(token.strip())
        self._rates.spend(identity, self._node.now())
        return identity

    async def _read(self, request: Request, type_: type[T]) -> T:
        body = await read_body(request, self._node.settings.max_command)
        try:
            # Python parses numbers like 1e290 a hundred times faster than msgspec, and a cursor may hold many.
            return msgspec.json.Decoder(type_, float_hook=float).decode(body)
        except msgspec.ValidationError as error:
            raise invalid(explain(str(error))) from None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise invalid("The body is not JSON, or a string in it is not valid Unicode.") from None


class _NotHereError(CommandError):
    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_REQUEST, message)


def _groups(query: _Query) -> Groups:
    """Translate a search for groups. The client always sends a value and a condition, or a value and a range."""
    order, value, condition = query.search_for or "group", query.value, query.condition
    if value is None:  # version 1.2.2 leaves out the default that later versions send
        value = " " if order == "group" else 0
        condition = condition or ">"
    # If the range is false in JavaScript, the client sends a condition as well, and means that.
    last = query.range if condition is None and not isinstance(query.range, bool) else None
    if order == "group" and value == " " and condition in {">", "gt"}:
        value = condition = None  # the client's query for all groups, also those whose names sort below a space
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
    """Translate a page. The client takes names and user ids from behind the first ``#``."""
    rows: list[dict[str, Any]] = []
    for row in page.list:
        if isinstance(row, GroupRow):
            rows.append({"rid": f"{service}#{row.group}", "cnt": row.number_of_users})
        else:
            rows.append({"uid": f"{service}#{row.user_id}", "cid": row.connection_id})
    return {"list": rows, "startKey": page.start_key, "endOfList": page.end_of_list}


def _readable(settings: Settings, call: Call) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of a call: answer preflights, encode results and errors, and add the CORS headers."""

    async def endpoint(request: Request) -> Response:
        headers = _cors_headers(settings, request.headers.get("origin"))
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


def _cors_headers(settings: Settings, origin: str | None) -> dict[str, str]:
    """Return the headers that say which pages may read an answer.

    All pages may, since no cookie gives any rights. But a server that accepts guests usually runs on somebody's own
    machine, and any page that they visit could learn that it runs there and read its answers. So then only pages on
    this machine may, and those of the origins in the settings.
    """
    if not settings.allow_guests or "*" in settings.origins:
        return CORS
    if origin is not None and (origin in settings.origins or is_local_origin(origin)):
        return {**CORS, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return {"Vary": "Origin"}


def _json(content: Any, status: int = 200) -> Response:
    # In ASCII: the client decodes some answers as Latin-1.
    return Response(json.dumps(content), status, {"Cache-Control": "no-store"}, "application/json")
