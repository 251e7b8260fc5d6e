"""The pieces of the OpenAPI document: operations, parameters, bodies and schemas, from the structs where possible."""

from __future__ import annotations

from typing import Any

import msgspec

from hubbub.auth.bans import MAX_BAN
from hubbub.groups.feed import FeedEvent
from hubbub.limits import MAX_KEY
from hubbub.messages import GroupRow, Groups, Page, Success, UserRow
from hubbub.settings import Settings
from hubbub.transports.http.api import Disconnected
from hubbub.transports.refusal import Error

Json = dict[str, Any]

_PROBLEMS = {
    "400": "A parameter, name or body is missing, unknown, or out of its limits; the message names it and the limit.",
    "401": "The token is missing or invalid.",
    "403": "The caller's rights do not allow it; or the server accepts guests and the Host is not a loopback address.",
    "404": "There is nothing here.",
    "406": "The client accepts neither form of the feed.",
    "409": "Too many users are banned already; no connection was closed.",
    "413": "The body, or the message in it, is too large or nested too deep.",
    "415": "The body is not JSON.",
    "429": "Too many requests of this user. Wait for the seconds in `Retry-After`.",
    "426": "Not a WebSocket. Connect with a WebSocket client.",
    "500": "The server failed; its log has the details.",
    "503": "The server is full or stopping, or its backend does not answer. Try again after `Retry-After`.",
}


# --- operations -------------------------------------------------------------------------------------------------------


def operation(name: str, summary: str, success: str, schema: str, problems: tuple[str, ...]) -> Json:
    """Return an operation; `schema` is the name of one for a JSON answer, or the media type of another."""
    media, content = (schema, text_schema()) if "/" in schema else ("application/json", reference(schema))
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": success, "content": {media: {"schema": content}}},
            **{status: problem(status) for status in problems},
        },
    }


def problem(status: str) -> Json:
    """Return the answer with this error status."""
    return {"description": _PROBLEMS[status], "content": {"application/json": {"schema": reference("Error")}}}


def live(listing: Json) -> Json:
    """Return the operation of a listing that can also be an answer which goes on."""
    text = (
        "With `Accept: text/event-stream`, a live list: the first event has the page as `list`, and each further one "
        "what has changed, as `set` and `gone`, or the whole `list`. Then `every` is the least number of milliseconds "
        'between two events, and for groups `groups` may have names as JSON, such as `["a","b"]`, and no search.'
    )
    listing["responses"]["200"]["content"]["text/event-stream"] = {"schema": text_schema()}
    return {**listing, "description": text}


def open_operation(name: str, summary: str, success: str, schema: str, *problems: str) -> Json:
    """Return an operation that needs no token."""
    return {**operation(name, summary, success, schema, problems), "security": []}


# --- parameters and bodies --------------------------------------------------------------------------------------------


def groups_parameters(settings: Settings) -> list[Json]:
    """Return the parameters of the list of groups."""
    of = _fields(Groups)
    value = "Text when searching by `group`; a number when by `number_of_users`."
    condition = "How `value` compares; `=` if left out. By `group`, `>=` means: starts with."
    return [
        query_parameter("searchFor", of["searchFor"], "What is searched, and the order of the list."),
        query_parameter("value", text_schema(), f"What to compare with. {value}"),
        query_parameter("condition", of["condition"], condition),
        query_parameter(
            "range", text_schema(), f"The end of a range that begins at `value`; not together with `condition`. {value}"
        ),
        *paging(Groups, settings),
    ]


def paging(command: type[msgspec.Struct], settings: Settings) -> list[Json]:
    """Return the parameters of every list."""
    limit = {"type": "integer", "minimum": 1, "maximum": settings.max_page, "default": min(50, settings.max_page)}
    cursor = {"anyOf": [{"type": "object"}, {"enum": ["start", "end"]}]}
    return [
        query_parameter("limit", limit, "Most rows of the page."),
        query_parameter("ascending", _fields(command)["ascending"], "The direction."),
        {
            "name": "startKey",
            "in": "query",
            "description": "Where to continue: the `startKey` of the previous page, as JSON.",
            "content": {"application/json": {"schema": cursor}},
        },
    ]


def _fields(command: type[msgspec.Struct]) -> Json:
    """Return the schemas of a command's fields, without null, which only means that a field is left out."""
    _, components = msgspec.json.schema_components([command])
    fields: Json = components[command.__name__]["properties"]
    for name, schema in fields.items():
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            fields[name] = kinds[0]
    return fields


def query_parameter(name: str, schema: Json, text: str) -> Json:
    """Return an optional parameter of the query string."""
    return {"name": name, "in": "query", "description": text, "schema": schema}


def feed_operation(settings: Settings, problems: tuple[str, ...]) -> Json:
    """Return the operation that follows the feed."""
    what = {"enum": ["users", "groups", "users,groups"], "default": "users,groups"}
    pattern = {**text_schema(), "minLength": 1, "maxLength": settings.max_group_name}
    since = "Where to go on: the `cursor` of an event; `start` for a snapshot first. Default: from now on."
    found = operation(
        "followFeed", "Follow who comes and who leaves", "One event after the other.", "FeedEvent", problems
    )
    found["responses"]["200"]["content"] = {
        "application/x-ndjson": {"schema": text_schema(), "x-item": reference("FeedEvent")},
        "text/event-stream": {"schema": text_schema(), "x-item": reference("FeedEvent")},
    }
    return {
        **found,
        "parameters": [
            query_parameter("since", text_schema(), since),
            query_parameter("what", what, "`users`: `user_*` and `member_*`; `groups`: `group_*`."),
            query_parameter("group", pattern, "A pattern of group names: only events of these groups."),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Takes precedence over `since`, as clients of server-sent events expect.",
                "schema": text_schema(),
            },
        ],
    }


def ban_parameter() -> Json:
    """Return the parameter that bans a user."""
    text = (
        "Ban the user on every node for this many seconds, whatever token or name is used; 0 ends the ban. If left "
        "out, a ban stays as it is."
    )
    return query_parameter("for", {"type": "integer", "minimum": 0, "maximum": MAX_BAN}, text)


def name_parameter(name: str, text: str, longest: int | None) -> Json:
    """Return a name in the path, of at most `longest` characters."""
    limits = {} if longest is None else {"minLength": 1, "maxLength": longest}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"{text} Percent-encoded.",
        "schema": {**text_schema(), **limits},
    }


def message_body(settings: Settings) -> Json:
    """Return the body of a post."""
    text = (
        f"Any JSON as `message`: at most {settings.max_message} bytes, {settings.max_depth} levels deep; "
        f"the whole body at most {settings.max_command} bytes."
    )
    return {
        "required": True,
        "description": text,
        "content": {"application/json": {"schema": reference("MessageBody"), "example": {"message": {"msg": "hi"}}}},
    }


# --- schemas ----------------------------------------------------------------------------------------------------------


def schemas(longest_user: int) -> Json:
    """Return the schemas of all bodies, by name; a user id has at most `longest_user` characters."""
    structs = [Success, GroupRow, UserRow, Disconnected, Error, FeedEvent]
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    for schema in components.values():
        schema.pop("description", None)  # docstrings, meant for readers of the code
    ready = {name: {"type": "boolean"} for name in ("ready", "draining", "backend", "keys")}
    return {
        **components,
        "GroupPage": _page_of("GroupRow"),
        "UserPage": _page_of("UserRow"),
        "MessageBody": {
            "type": "object",
            "properties": {
                "message": {"description": "Any JSON."},
                "key": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_KEY,
                    "description": "A post that is repeated with the same key is delivered once.",
                },
                "min_recipients": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "Refuse the post if it would reach fewer connections.",
                },
                "sender": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": longest_user,
                    "description": "The user id that recipients see as sender. Default: that of the token.",
                },
                "keep": {
                    "type": "boolean",
                    "default": True,
                    "description": "If false, only those who are connected now receive it, and `key` is not allowed.",
                },
            },
            "required": ["message"],
            "additionalProperties": False,
        },
        "Health": _object({"status": {"const": "ok"}}),
        "Readiness": _object(ready, {"hooks": {"type": "boolean"}}),
        "Document": {"type": "object"},
    }


def _page_of(row: str) -> Json:
    """Return the schema of a `Page` with rows of one kind, so that generated clients know the kind."""
    cursor = {
        "anyOf": [{"type": "object"}, {"const": "end"}],
        "description": "Pass it as `startKey` to continue the list.",
    }
    schemas: tuple[Json, ...] = ({"type": "array", "items": reference(row)}, cursor, {"type": "boolean"})
    return _object(dict(zip(Page.__struct_encode_fields__, schemas, strict=True)))


def _object(properties: Json, optional: Json | None = None) -> Json:
    every = {**properties, **(optional or {})}
    return {"type": "object", "properties": every, "required": list(properties), "additionalProperties": False}


def text_schema() -> Json:
    """Return the schema of any text."""
    return {"type": "string"}


def reference(name: str) -> Json:
    """Return a reference to one of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}
