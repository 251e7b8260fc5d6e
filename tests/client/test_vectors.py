"""The golden vectors, shared with the browser client: same calls, same frames, same meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubbub.client.events import Event, Message, Notice, Other, Private, Problem
from hubbub.client.reconnect_policy import backoff, retry_delay, should_reconnect
from hubbub.client.results import Joined, Page, Sent
from hubbub.client.wire import (
    Reply,
    connect_command,
    encode,
    join_command,
    listing_command,
    post_command,
    read_frame,
    with_id,
)
from hubbub.messages import Gap, GroupRow, Position, Restart, UserRow, Welcome

VECTORS = Path(__file__).parent.parent / "vectors"


def vectors(name: str) -> list[Any]:
    return [pytest.param(entry, id=str(entry.get("name", entry))) for entry in json.loads((VECTORS / name).read_text())]


def listing(name: str, positional: list[str]) -> Any:
    def command(*args: Any, **kwargs: Any) -> dict[str, Any]:
        fields = {**dict(zip(positional, args, strict=False)), **kwargs}
        fields.pop("fetch_more", None)  # tested in test_paging
        wire = {"search_for": "searchFor", "start_key": "startKey"}
        return listing_command(name, **{wire.get(field, field): value for field, value in fields.items()})

    return command


BY_METHOD = {
    "connect": lambda since=None, **credentials: connect_command(credentials, since and Position(**since)),
    "join_realtime": join_command,
    "post_realtime": post_command,
    "get_realtime_groups": listing("groups", ["search_for", "value", "condition", "range"]),
    "get_realtime_users": listing("users", ["group", "user_id"]),
}


@pytest.mark.parametrize("vector", vectors("v1_commands.json"))
def test_commands(vector: dict[str, Any]) -> None:
    call = vector["python"]
    command = BY_METHOD[call["method"]](*call["args"], **call["kwargs"])
    assert json.loads(with_id(vector["frame"]["id"], encode(command))) == vector["frame"]


KINDS = {"welcome": Welcome, "joined": Joined, "left": Joined, "groups": Page[GroupRow], "users": Page[UserRow]}


@pytest.mark.parametrize("vector", vectors("v1_replies.json"))
def test_replies(vector: dict[str, Any]) -> None:
    reply = read_frame(json.dumps(vector["frame"]))
    assert isinstance(reply, Reply)
    assert reply.id == vector["id"]
    if "error" in vector:
        assert reply.error is not None
        assert {"code": reply.error.code, "message": reply.error.message} == vector["error"]
        return
    assert json.loads(bytes(reply.ok or b"")) == vector["result"]
    kind = next((kind for name, kind in KINDS.items() if vector["name"].startswith(name)), Sent)
    result = msgspec.to_builtins(msgspec.json.decode(reply.ok or b"", type=kind))
    assert {field: result[field] for field in vector["result"] if field in result}.items() <= vector["result"].items()


@pytest.mark.parametrize("vector", vectors("v1_events.json"))
def test_events(vector: dict[str, Any]) -> None:
    event = read_frame(json.dumps(vector["frame"]))
    assert not isinstance(event, Reply | Gap | Restart)
    expected = vector["event"]
    if expected is None:
        assert event is None
    elif isinstance(event, Problem):
        assert (expected["code"], expected["message"]) == (event.code, event.message)
    else:
        assert event is not None
        assert event.type == expected["type"]
        assert as_dict(event).items() >= {k: v for k, v in expected.items() if hasattr(event, k)}.items()


def as_dict(event: Event) -> dict[str, Any]:
    if isinstance(event, Other):
        return event.data
    assert isinstance(event, Message | Private | Notice)
    return {field: getattr(event, field) for field in (*event.__struct_fields__, "type")}


@pytest.mark.parametrize("vector", vectors("backoff.json"))
def test_backoff(vector: dict[str, Any]) -> None:
    assert backoff(vector["attempt"], vector["random"]) == vector["delay"]


@pytest.mark.parametrize("vector", vectors("retry_delay.json"))
def test_retry_delay(vector: dict[str, Any]) -> None:
    delay = retry_delay(vector["code"], vector["attempt"], vector["random"], vector["restart_after"])
    assert delay == vector["delay"]


@pytest.mark.parametrize("vector", vectors("close_codes.json"))
def test_close_codes(vector: dict[str, Any]) -> None:
    assert should_reconnect(vector["code"], renewable=False) == vector["reconnect"]
