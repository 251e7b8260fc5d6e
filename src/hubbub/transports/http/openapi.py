"""The OpenAPI 3.1 document of the HTTP API. Schemas and limits come from the structs and settings that the API uses.

This file adds what cannot be derived: the parameters and answers of each path. The tests compare it with the routes,
and the answers of a running server with the schemas.
"""

from __future__ import annotations

from importlib.metadata import version

from hubbub.messages import Users
from hubbub.settings import Settings
from hubbub.transports.http.openapi_parts import (
    Json,
    ban_parameter,
    feed_operation,
    groups_parameters,
    live,
    message_body,
    name_parameter,
    open_operation,
    operation,
    paging,
    problem,
    query_parameter,
    reference,
    schemas,
    text_schema,
)

_READ = ("400", "401", "403", "429", "500", "503")
_BAN = ("400", "401", "403", "409", "429", "500", "503")
_FEED = ("400", "401", "403", "406", "429", "500", "503")
_POST = ("400", "401", "403", "413", "415", "429", "500", "503")


def openapi(settings: Settings) -> Json:
    """Return the whole document, ready to be encoded as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hubbub",
            "version": version("hubbub"),
            "summary": "Realtime groups: list, post, disconnect.",
            "description": (
                "The HTTP side of a Hubbub server. Unknown paths are answered with 404, other methods with 405 and "
                "`Allow`, heads larger than 32 KiB with 431, and requests that are not complete in time with 408; all "
                "with the body `Error`. Percent-encode names in paths, slashes included."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": _paths(settings),
        "components": {
            "schemas": schemas(settings.max_user_id),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": (
                        "The same tokens as on the WebSocket. Posting and disconnecting need the claim `role: server`. "
                        "On a server that accepts guests, lists need no token."
                    ),
                }
            },
        },
    }


# --- paths ------------------------------------------------------------------------------------------------------------


def _paths(settings: Settings) -> Json:
    group = name_parameter("group", "The group's name.", settings.max_group_name)
    user = name_parameter("user_id", "The user's id.", settings.max_user_id)
    connection = name_parameter("connection_id", "The connection's id, as listings show it.", settings.max_user_id)
    guests: Json = {"security": [{"bearer": []}, {}]}
    return {
        "/v1/connect": {"get": _websocket()},
        "/v1/events": {"get": feed_operation(settings, _FEED)},
        "/v1/groups": {
            "get": {
                **live(operation("listGroups", "List or search the groups", "A page of groups.", "GroupPage", _READ)),
                "parameters": groups_parameters(settings),
                **guests,
            }
        },
        "/v1/groups/{group}/users": {
            "get": {
                **live(
                    operation("listUsers", "List the connections in a group", "A page of users.", "UserPage", _READ)
                ),
                "parameters": [
                    group,
                    query_parameter("user_id", text_schema(), "Only the connections of this user."),
                    *paging(Users, settings),
                ],
                **guests,
            }
        },
        "/v1/groups/{group}/messages": {
            "post": {
                **operation(
                    "postToGroup",
                    "Post to a group as the server",
                    "Delivered to the connections that are there now.",
                    "Success",
                    _POST,
                ),
                "parameters": [group],
                "requestBody": message_body(settings),
            }
        },
        "/v1/users/{user_id}/messages": {
            "post": {
                **operation(
                    "postToUser",
                    "Post to a user as the server",
                    "Delivered to the connections that are there now.",
                    "Success",
                    _POST,
                ),
                "parameters": [user],
                "requestBody": message_body(settings),
            }
        },
        "/v1/users/{user_id}": {
            "delete": {
                **operation(
                    "disconnectUser",
                    "Close a user's connections",
                    "How many connections were closed.",
                    "Disconnected",
                    _BAN,
                ),
                "parameters": [user, ban_parameter()],
            }
        },
        "/v1/connections/{connection_id}": {
            "delete": {
                **operation(
                    "disconnectConnection",
                    "Close a connection",
                    "How many connections were closed.",
                    "Disconnected",
                    _READ,
                ),
                "parameters": [connection],
            }
        },
        "/healthz": {"get": open_operation("health", "Whether the process is alive", "It is.", "Health")},
        "/readyz": {"get": _readiness()},
        "/metrics": {"get": open_operation("metrics", "Metrics for Prometheus", "The metrics.", "text/plain")},
        "/openapi.json": {"get": open_operation("openapi", "This document", "The document.", "Document")},
        "/": {"get": open_operation("page", "The demo page", "The page.", "text/html", "404")},
        "/demo/{file}": {
            "get": {
                **open_operation("pageFile", "A file of the demo page", "The file.", "*/*", "404"),
                "parameters": [name_parameter("file", "The file's name.", None)],
            }
        },
        "/hubbub.js": {"get": open_operation("client", "The browser client", "A module.", "text/javascript")},
        "/hubbub.global.js": {
            "get": open_operation(
                "classicClient", "The browser client for a plain script element", "A script.", "text/javascript"
            )
        },
        "/hubbub.d.ts": {
            "get": open_operation("clientTypes", "The types of the client", "Declarations.", "text/plain")
        },
    }


def _readiness() -> Json:
    operation = open_operation("readiness", "Whether new connections are served", "They are.", "Readiness")
    not_ready = {"description": "They are not.", "content": {"application/json": {"schema": reference("Readiness")}}}
    return {**operation, "responses": {**operation["responses"], "503": not_ready}}


def _websocket() -> Json:
    statuses = ("400", "401", "403", "426", "503")
    return {
        "operationId": "connect",
        "summary": "Open a WebSocket",
        "description": (
            "Subprotocol `hubbub.v1`, one JSON object per text frame. Send the token in the first command, as "
            "`Authorization: Bearer`, or as `?token=` with tools that can do neither."
        ),
        "parameters": [
            query_parameter("token", text_schema(), "A token, for tools that cannot send it in another way.")
        ],
        "responses": {
            "101": {"description": "The WebSocket is open."},
            **{status: problem(status) for status in statuses},
        },
        "security": [{"bearer": []}, {}],
    }
