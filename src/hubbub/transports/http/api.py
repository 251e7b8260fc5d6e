"""The HTTP API: lists for any token, posts and disconnects for server tokens. The node's services do the work."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubbub.auth.identity import Identity
from hubbub.errors import CommandError, ErrorCode
from hubbub.limits import check_name
from hubbub.node import Node
from hubbub.transports.http.errors import answer
from hubbub.transports.http.events import follow_feed
from hubbub.transports.http.input import (
    read_ban,
    read_groups,
    read_message,
    read_nothing,
    read_users,
    read_watched_groups,
    read_watched_users,
)
from hubbub.transports.http.live_lists import live_list, wants_events
from hubbub.transports.http.request_rates import RequestRates
from hubbub.transports.refusal import HttpError

ANYONE = Identity(user_id="")
"""A caller without a token, where guests are accepted: sees all groups, like a guest, and has no server rights."""

_LISTS_OF_APPS = "List over the WebSocket, or at an address of the app that calls hub.groups() or hub.users(…)."
_POSTS_OF_APPS = "Let the app call hub.post(…), hub.post_to_user(…) or hub.disconnect(…)."


class Disconnected(msgspec.Struct):
    """How many connections were closed."""

    disconnected: int


class Api:
    """The endpoints under ``/v1``.

    Args:
        node: Has the services and the settings.
        rates: How many requests each user may make.
    """

    def __init__(self, node: Node, rates: RequestRates) -> None:
        self._node = node
        self._rates = rates

    def routes(self) -> list[Route]:
        """Return the path of each endpoint."""
        return [
            Route("/v1/connect", self.connect),
            Route("/v1/events", self.events),
            Route("/v1/groups", self.groups),
            Route("/v1/groups/{group:name}/users", self.users),
            Route("/v1/groups/{group:name}/messages", self.post_to_group, methods=["POST"]),
            Route("/v1/users/{user_id:name}/messages", self.post_to_user, methods=["POST"]),
            Route("/v1/users/{user_id:name}", self.disconnect_user, methods=["DELETE"]),
            Route("/v1/connections/{connection_id:name}", self.disconnect_connection, methods=["DELETE"]),
        ]

    async def connect(self, request: Request) -> Response:
        """Refuse a request without an upgrade; a WebSocket is never routed here."""
        text = "This is the address of the WebSocket. Connect with a WebSocket client."
        raise HttpError(426, ErrorCode.INVALID_REQUEST, text, {"Upgrade": "websocket"})

    async def events(self, request: Request) -> Response:
        """Tell who comes and who leaves, from a cursor on, until the client goes."""
        return await follow_feed(self._node, await self._server(request), request)

    async def groups(self, request: Request) -> Response:
        """List the groups that the caller may join."""
        identity, query = await self._anyone(request), request.scope["query_string"]
        if wants_events(request) and request.method == "GET":
            return await live_list(self._node, identity, read_watched_groups(query))
        return answer(await self._node.services.groups(identity, read_groups(query)))

    async def users(self, request: Request) -> Response:
        """List the connections in a group that the caller may join."""
        identity, query = await self._anyone(request), request.scope["query_string"]
        group = request.path_params["group"]
        if wants_events(request) and request.method == "GET":
            return await live_list(self._node, identity, read_watched_users(query, group))
        return answer(await self._node.services.users(identity, read_users(query, group)))

    async def post_to_group(self, request: Request) -> Response:
        """Post to a group as the server."""
        identity = await self._server(request)
        read_nothing(request.scope["query_string"])
        body = await read_message(request, self._node.settings.max_command)
        group = request.path_params["group"]
        done = self._node.services.post_to_group(
            identity, group, body.message, body.key, body.min_recipients, body.sender, keep=body.keep
        )
        return answer(await done)

    async def post_to_user(self, request: Request) -> Response:
        """Post to all connections of a user as the server."""
        identity = await self._server(request)
        read_nothing(request.scope["query_string"])
        body = await read_message(request, self._node.settings.max_command)
        user_id = request.path_params["user_id"]
        done = self._node.services.post_to_user(
            identity, user_id, body.message, body.key, body.min_recipients, body.sender, keep=body.keep
        )
        return answer(await done)

    async def disconnect_user(self, request: Request) -> Response:
        """Close all connections of a user, and ban the user for a while if the query says so."""
        identity = await self._server(request)
        for_seconds = read_ban(request.scope["query_string"])
        user_id = request.path_params["user_id"]
        check_name("user_id", user_id, self._node.settings.max_user_id)
        return answer(Disconnected(await self._node.services.disconnect_user(identity, user_id, for_seconds)))

    async def disconnect_connection(self, request: Request) -> Response:
        """Close one connection."""
        identity = await self._server(request)
        read_nothing(request.scope["query_string"])
        connection_id = request.path_params["connection_id"]
        check_name("connection_id", connection_id, self._node.settings.max_user_id)
        return answer(Disconnected(await self._node.services.disconnect_connection(identity, connection_id)))

    # --- the identity of the caller ---

    async def _anyone(self, request: Request) -> Identity:
        """Return who the token identifies, or `ANYONE` if guests need none; count the request against the rate."""
        identity = await self._identify(request)
        self._rates.spend(identity, self._node.now())
        return identity

    async def _identify(self, request: Request) -> Identity:
        header = request.headers.get("authorization")
        if header is None:
            if self._node.settings.allow_guests:
                return ANYONE
            raise _unauthorized(self._without_token("A token", _LISTS_OF_APPS))
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized('The header "Authorization" has another scheme. Send "Bearer" and a token.')
        return await self._node.auth.authenticate(token.strip())

    async def _server(self, request: Request) -> Identity:
        """Return who the server token identifies, before anything else of the request is read."""
        if "authorization" not in request.headers:
            raise _unauthorized(self._without_token("A server token", _POSTS_OF_APPS))
        identity = await self._anyone(request)
        identity.require_server()
        return identity

    def _without_token(self, missing: str, otherwise: str) -> str:
        """Return the text for a caller who sent no token: a hub with ``on_connect`` has other ways than tokens.

        ``on_connect`` is not asked for HTTP requests: an app expects one call for each connection, and the app has
        endpoints of its own, with its own login, where its pages can ask for lists.
        """
        token = f'{missing} is missing. Send it in the header "Authorization: Bearer …".'
        if not self._node.asks_app:
            return token
        if self._node.settings.hooks is not None:  # the app is another process, which has no `hub`
            otherwise, none = "", 'This server accepts no tokens: give it a "secret" for them.'
        else:
            otherwise, none = f" {otherwise}", "This app accepts no tokens."
        return f"Cookies do not count for the HTTP API.{otherwise} {token if self._node.auth.accepts_tokens else none}"


def _unauthorized(message: str) -> CommandError:
    return CommandError(ErrorCode.UNAUTHORIZED, message)
