"""Makes the AsyncAPI document of the wire protocol out of the structs: ``make asyncapi``.

The schemas are those of `hubbub.messages`, as ``msgspec`` describes them, so the document cannot say anything else than
what the server decodes and encodes. What a struct cannot say (which reply belongs to which command) stands here.
"""

from __future__ import annotations

import builtins
import inspect
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import yaml

import hubbub
from hubbub import messages
from hubbub.errors import CLOSE_RULES, ErrorCode

Json = dict[str, Any]

TARGET = Path(__file__).parent.parent / "docs/reference/asyncapi.yaml"

_SCHEMAS = "#/components/schemas"
_MESSAGES = "#/components/messages"


class GroupPage(msgspec.Struct, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """A page of groups. `startKey` continues the listing; ``"end"`` when there is no more."""

    list: builtins.list[messages.GroupRow]
    start_key: dict[str, Any] | Literal["end"]
    end_of_list: bool


class UserPage(msgspec.Struct, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """A page of connections. `startKey` continues the listing; ``"end"`` when there is no more."""

    list: builtins.list[messages.UserRow]
    start_key: dict[str, Any] | Literal["end"]
    end_of_list: bool


class WatchedPage(msgspec.Struct, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """The first page of a watched listing: rows of `Groups` or of `Users`, and how many match in all."""

    watch: int
    list: builtins.list[dict[str, Any]]
    count: int | None
    start_key: dict[str, Any] | Literal["end"]
    end_of_list: bool


COMMANDS = get_args(messages.AnyCommand)
EVENTS = [event for event in get_args(messages.Event) if event is not messages.Signaled]
REPLIES: dict[str, type[msgspec.Struct]] = {
    "Connect": messages.Welcome,
    "Join": messages.Success,
    "Leave": messages.Success,
    "Post": messages.Success,
    "Groups": GroupPage,
    "Users": UserPage,
    "Watch": WatchedPage,
    "Unwatch": messages.Success,
}

_DESCRIPTION = """\
One JSON object in each WebSocket text frame, subprotocol `hubbub.v1`. A client sends commands; a command with an `id`
is answered by one reply with the same `id`: `ok` or `error`. Events come unasked. Unknown fields and unknown types of
events are to be ignored.

Close codes:

{close_codes}
"""


def document() -> Json:
    """Return the document."""
    structs = [*COMMANDS, *EVENTS, *set(REPLIES.values())]
    _, schemas = msgspec.json.schema_components(structs, ref_template=f"{_SCHEMAS}/{{name}}")
    for struct in {
        *structs,
        messages.Position,
        messages.GroupRow,
        messages.UserRow,
    }:
        schemas[struct.__name__]["description"] = _first_paragraph(struct)
    schemas["Id"] = {"type": ["integer", "null"], "description": "That of the command; null if it cannot be made out."}
    for name, struct in REPLIES.items():
        schemas[f"{name}Ok"] = _object(id=_ref("Id"), ok=_ref(struct.__name__))
    schemas["ErrorCode"] = {"enum": [code.value for code in ErrorCode]}
    error = _object(code=_ref("ErrorCode"), message={"type": "string"})
    schemas["Failed"] = _object(id=_ref("Id"), error=error)
    named = {command.__name__: _title("command", command) for command in COMMANDS}
    named |= {f"{name}Ok": f"Reply to {named[name]}" for name in REPLIES} | {"Failed": "Reply: a command was refused"}
    named |= {event.__name__: _title("event", event) for event in EVENTS}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Hubbub, dialect v1",
            "version": hubbub.__version__,
            "description": _DESCRIPTION.format(close_codes=_close_codes()),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8000", "protocol": "ws", "description": "`hubbub serve`"}},
        "channels": {
            "connection": {
                "address": "/v1/connect",
                "description": "One connection.",
                "messages": {name: {"$ref": f"{_MESSAGES}/{name}"} for name in named},
                "bindings": {"ws": {"method": "GET", "query": _object(required=[], token={"type": "string"})}},
            }
        },
        "operations": _operations(),
        "components": {
            "messages": {name: {"name": name, "title": title, "payload": _ref(name)} for name, title in named.items()},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _operations() -> Json:
    channel = {"$ref": "#/channels/connection"}

    def in_channel(*names: str) -> list[Json]:
        return [{"$ref": f"#/channels/connection/messages/{name}"} for name in names]

    return {
        **{
            _tag(command): {
                "action": "receive",
                "channel": channel,
                "summary": _first_paragraph(command),
                "messages": in_channel(command.__name__),
                "reply": {"channel": channel, "messages": in_channel(f"{command.__name__}Ok", "Failed")},
            }
            for command in COMMANDS
        },
        **{
            f"on_{_tag(event)}": {
                "action": "send",
                "channel": channel,
                "summary": _first_paragraph(event),
                "messages": in_channel(event.__name__),
            }
            for event in EVENTS
        },
    }


def _object(*, required: list[str] | None = None, **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


def _ref(name: str) -> Json:
    return {"$ref": f"{_SCHEMAS}/{name}"}


def _tag(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)


def _title(kind: str, struct: type[msgspec.Struct]) -> str:
    return f"{kind} `{_tag(struct)}`"


def _first_paragraph(struct: type) -> str:
    """Return the beginning of a docstring, in Markdown."""
    paragraph = (inspect.getdoc(struct) or "").split("\n\n")[0]
    return re.sub(r"\s+", " ", paragraph.replace("``", "`"))


def _close_codes() -> str:
    return "\n".join(
        f"- {int(code)}: {rule.reason}; {'reconnect' if rule.reconnect else 'do not reconnect'}"
        for code, rule in CLOSE_RULES.items()
    )


def as_text() -> str:
    """Return the document as YAML."""
    head = "# Made from src/hubbub/messages.py by `make asyncapi`; change that file.\n"
    return head + yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    TARGET.write_text(as_text())
    sys.stderr.write(f"{TARGET}\n")
