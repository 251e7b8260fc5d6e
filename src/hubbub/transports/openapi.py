"""The description of the HTTP API, OpenAPI 3.1. Schemas and limits come from the structs and settings that are used.

What cannot be derived is said here: which path takes what, and answers how. The tests compare it with the routes, and
the answers of a running server with the schemas.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from hubbub.messages import GroupRow, Groups, Page, Success, UserRow, Users
from hubbub.settings import Settings
from hubbub.transports.http_api import Disconnected
from hubbub.transports.http_errors import Error

Json = dict[str, Any]

_PROBLEMS = {
    "400": "A parameter, name or body is missing, unknown, or out of its limits; the text names it and the limit.",
    "401": "No token, or not a valid one.",
    "403": "The token does not allow this. While guests are let in: the Host is not a loopback address.",
    "404": "There is nothing here.",
    "413": "The body, or the message in it, is too large or nested too deep.",
    "415": "The body is not JSON.",
    "426": "Open it as a WebSocket.",
    "503": "The server stops, or what it depends on does not answer; try again.",
    "500": "The server failed; its log has the details.",
}

_READ = ("400", "401", "403", "503", "500")
_SERVER = _READ
_POST = ("400", "401", "403", "413", "415", "503", "500")


def openapi(settings: Settings) -> Json:
    """Return the whole document as what becomes a JSON object."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hubbub",
            "version": version("hubbub"),
            "summary": "Realtime groups: look around, post, disconnect.",
            "description": (
                "The HTTP side of a Hubbub server. Unknown paths answer 404, other methods 405 with `Allow`, heads "
                "larger than 32 KiB 431, requests that do not arrive in time 408; all with the body `Error`. "
                "Percent-encode names in paths, slashes included."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": _paths(settings),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": (
                        "The tokens of the WebSocket. Posting and disconnecting need the claim `role: server`. "
                        "Looking around needs none while guests are let in."
                    ),
                }
            },
        },
    }


# --- paths ------------------------------------------------------------------------------------------------------------


def _paths(settings: Settings) -> Json:
    group = _name("group", "The group's name.", settings.max_group_name)
    user = _name("user_id", "The user's id.", settings.max_user_id)
    connection = _name("connection_id", "The connection's id, as listings show it.", settings.max_user_id)
    guests: Json = {"security": [{"bearer": []}, {}]}
    return {
        "/v1/connect": {"get": _websocket()},
        "/v1/groups": {
            "get": {
                **_operation("listGroups", "List or search the groups", "A page of groups.", "GroupPage", _READ),
                "parameters": _groups_parameters(settings),
                **guests,
            }
        },
        "/v1/groups/{group}/users": {
            "get": {
                **_operation("listUsers", "List the connections in a group", "A page of users.", "UserPage", _READ),
                "parameters": [group, _query("user_id", _text(), "Only this user's."), *_paging(Users, settings)],
                **guests,
            }
        },
        "/v1/groups/{group}/messages": {
            "post": {
                **_operation("postToGroup", "Post to a group as the server", "Handed over.", "Success", _POST),
                "parameters": [group],
                "requestBody": _message_body(settings),
            }
        },
        "/v1/users/{user_id}/messages": {
            "post": {
                **_operation("postToUser", "Post to a user as the server", "Handed over.", "Success", _POST),
                "parameters": [user],
                "requestBody": _message_body(settings),
            }
        },
        "/v1/users/{user_id}": {
            "delete": {
                **_operation("disconnectUser", "Close a user's connections", "Told to go.", "Disconnected", _SERVER),
                "parameters": [user],
            }
        },
        "/v1/connections/{connection_id}": {
            "delete": {
                **_operation("disconnectConnection", "Close a connection", "Told to go.", "Disconnected", _SERVER),
                "parameters": [connection],
            }
        },
        "/healthz": {"get": _open("health", "Whether the process is alive", "It is.", "Health", "500")},
        "/readyz": {"get": _readiness()},
        "/metrics": {"get": _open("metrics", "Metrics for Prometheus", "The metrics.", "text/plain", "500")},
        "/openapi.json": {"get": _open("openapi", "This document", "The document.", "Document", "500")},
        "/": {"get": _open("page", "The demo page", "The page.", "text/html", "404", "500")},
        "/demo/{file}": {
            "get": {
                **_open("pageFile", "What the demo page needs", "The file.", "*/*", "404", "500"),
                "parameters": [_name("file", "The file's name.", None)],
            }
        },
        "/hubbub.js": {"get": _open("client", "The browser client", "A module.", "text/javascript", "500")},
        "/hubbub.global.js": {
            "get": _open(
                "classicClient", "The browser client for a plain script element", "A script.", "text/javascript", "500"
            )
        },
        "/hubbub.d.ts": {"get": _open("clientTypes", "The types of the client", "Declarations.", "text/plain", "500")},
    }


def _operation(name: str, summary: str, success: str, schema: str, problems: tuple[str, ...]) -> Json:
    media = {schema: {"schema": _text()}} if "/" in schema else {"application/json": {"schema": _ref(schema)}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": success, "content": media},
            **{status: _problem(status) for status in problems},
        },
    }


def _problem(status: str) -> Json:
    return {"description": _PROBLEMS[status], "content": {"application/json": {"schema": _ref("Error")}}}


def _open(name: str, summary: str, success: str, schema: str, *problems: str) -> Json:
    """Return an operation that needs no token."""
    return {**_operation(name, summary, success, schema, problems), "security": []}


def _readiness() -> Json:
    operation = _open("readiness", "Whether new connections are served", "They are.", "Readiness", "500")
    not_ready = {"description": "They are not.", "content": {"application/json": {"schema": _ref("Readiness")}}}
    return {**operation, "responses": {**operation["responses"], "503": not_ready}}


def _websocket() -> Json:
    statuses = ("400", "401", "403", "426", "503")
    return {
        "operationId": "connect",
        "summary": "Open a WebSocket",
        "description": (
            "Subprotocol `hubbub.v1`, one JSON object per text frame. The token comes in the first command; "
            "or as `Authorization: Bearer`, or as `?token=` for tools that can do neither."
        ),
        "parameters": [_query("token", _text(), "A token, for tools that cannot send it otherwise.")],
        "responses": {
            "101": {"description": "The WebSocket is open."},
            **{status: _problem(status) for status in statuses},
        },
        "security": [{"bearer": []}, {}],
    }


# --- parameters and bodies --------------------------------------------------------------------------------------------


def _groups_parameters(settings: Settings) -> list[Json]:
    of = _fields(Groups)
    value = "Text when searching by `group`; a number when by `number_of_users`."
    condition = "How `value` compares; `=` if left out. By `group`, `>=` means: starts with."
    return [
        _query("searchFor", of["searchFor"], "What is searched and the order of the list."),
        _query("value", _text(), f"What to compare with. {value}"),
        _query("condition", of["condition"], condition),
        _query("range", _text(), f"Where the range ends that begins at `value`; excludes `condition`. {value}"),
        *_paging(Groups, settings),
    ]


def _paging(command: type[msgspec.Struct], settings: Settings) -> list[Json]:
    limit = {"type": "integer", "minimum": 1, "maximum": settings.max_page, "default": min(50, settings.max_page)}
    cursor = {"anyOf": [{"type": "object"}, {"enum": ["start", "end"]}]}
    return [
        _query("limit", limit, "Most rows of the page."),
        _query("ascending", _fields(command)["ascending"], "The direction."),
        {
            "name": "startKey",
            "in": "query",
            "description": "Where to continue: what the page before ended with, as JSON.",
            "content": {"application/json": {"schema": cursor}},
        },
    ]


def _fields(command: type[msgspec.Struct]) -> Json:
    """Return the schemas of a command's fields; null, which only says that a field is left out, is left out."""
    _, components = msgspec.json.schema_components([command])
    fields: Json = components[command.__name__]["properties"]
    for name, schema in fields.items():
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            fields[name] = kinds[0]
    return fields


def _query(name: str, schema: Json, text: str) -> Json:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _name(name: str, text: str, longest: int | None) -> Json:
    limits = {} if longest is None else {"minLength": 1, "maxLength": longest}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"{text} Percent-encoded.",
        "schema": {**_text(), **limits},
    }


def _message_body(settings: Settings) -> Json:
    text = (
        f"Any JSON as `message`: at most {settings.max_message} bytes, {settings.max_depth} levels deep; "
        f"the whole body at most {settings.max_command} bytes."
    )
    return {
        "required": True,
        "description": text,
        "content": {"application/json": {"schema": _ref("MessageBody"), "example": {"message": {"msg": "hi"}}}},
    }


# --- schemas ----------------------------------------------------------------------------------------------------------


def _schemas() -> Json:
    structs = [Success, GroupRow, UserRow, Disconnected, Error]
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    for schema in components.values():
        schema.pop("description", None)  # docstrings, meant for readers of the code
    ready = {name: {"type": "boolean"} for name in ("ready", "draining", "backend", "keys")}
    return {
        **components,
        "GroupPage": _page_of("GroupRow"),
        "UserPage": _page_of("UserRow"),
        "MessageBody": _object({"message": {"description": "Any JSON."}}),
        "Health": _object({"status": {"const": "ok"}}),
        "Readiness": _object(ready),
        "Document": {"type": "object"},
    }


def _page_of(row: str) -> Json:
    """Return the schema of a `Page` with rows of one kind, so that generated clients know which."""
    cursor = {"anyOf": [{"type": "object"}, {"const": "end"}], "description": "Continues the list as `startKey`."}
    schemas: tuple[Json, ...] = ({"type": "array", "items": _ref(row)}, cursor, {"type": "boolean"})
    return _object(dict(zip(Page.__struct_encode_fields__, schemas, strict=True)))


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text() -> Json:
    return {"type": "string"}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
