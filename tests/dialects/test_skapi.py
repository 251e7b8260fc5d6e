"""Dialect skapi: the golden vectors, an answer to every malformed frame, and any JSON unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.dialects.base import BadCommandError
from hubbub.dialects.skapi import Skapi
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import (
    LEFT,
    Command,
    Event,
    Gap,
    Join,
    Message,
    Position,
    Post,
    Posted,
    Private,
    Recipient,
    Restart,
    Signal,
    Signaled,
    UserRow,
    notice,
)

VECTORS = Path(__file__).parent.parent / "vectors"
COMMANDS = json.loads((VECTORS / "skapi_commands.json").read_text())
EVENTS = json.loads((VECTORS / "skapi_events.json").read_text())
S = Skapi()


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value, separators=(",", ":")).encode())


def meaning(command: Command | None) -> Any:
    """Write a command as the vectors do."""
    match command:
        case Join():
            return {"join": command.group}
        case Post(to=to):
            to = {"group": to.group} if isinstance(to, Recipient) else to
            return {"post": {"to": to, "message": json.loads(bytes(command.message))}}
    return None


@pytest.mark.parametrize("vector", COMMANDS, ids=lambda vector: vector["name"])
def test_commands(vector: dict[str, Any]) -> None:
    # As a browser writes it: halves of surrogate pairs escaped, everything else in UTF-8 or escaped.
    for frame in (vector["frame"], {**vector["frame"], "token": "IdT:service:owner:a.b.c"}):
        assert meaning(S.decode(json.dumps(frame).encode())) == vector["command"]
        text = json.dumps(frame, ensure_ascii=False)
        if "\ud800" not in text:
            assert meaning(S.decode(text.encode())) == vector["command"]


def test_a_signal_names_a_connection() -> None:
    command = S.decode(b'{"action":"rtc","uid":"cid:Fr_a-Q","content":{"candidate":{"a":"100%"}},"token":"a.b.c"}')
    assert isinstance(command, Signal)
    assert (command.connection_id, bytes(command.message)) == ("Fr_a-Q", b'{"candidate":{"a":"100%"}}')


def happening(event: dict[str, Any]) -> Event:
    sender, cid, rid = event["sender"], event["sender_cid"], event.get("sender_rid")
    match event["type"]:
        case "message":
            return Message(raw(event["message"]), sender, cid, rid, 7)
        case "private":
            return Private(raw(event["message"]), sender, cid)
        case "notice":
            return notice(event["code"], rid, UserRow(sender, cid), 1)
    return Signaled(raw(event["message"]), sender, cid)


@pytest.mark.parametrize("vector", EVENTS, ids=lambda vector: vector["name"])
def test_events(vector: dict[str, Any]) -> None:
    if "error" in vector:
        error = CommandError(ErrorCode(vector["error"]["code"]), vector["error"]["message"])
        assert S.error(None, error).decode() == vector["frame"]
    else:
        assert S.event(happening(vector["event"])).decode() == vector["frame"]


def test_events_that_need_positions_are_left_out() -> None:
    for event in (Posted("g", 1), Gap("g", Position("e", 1)), Restart(1.0)):
        assert S.event(event) == b""
    unkept, kept = (S.event(Message(raw("x"), "alice", "c", "g", seq)) for seq in (None, 1))
    assert unkept == kept


def test_there_are_no_replies() -> None:
    assert S.reply(0, LEFT) is None
    assert S.sent is None


NOT_JSON = "The frame is not JSON, or a name in it is not valid Unicode."
BAD = [
    (b"", NOT_JSON),
    (b"hello", NOT_JSON),
    (b"[]", "A frame must be object, got array."),
    (b"7", "A frame must be object, got int."),
    (b"{}", '"action" must be one of keepAlive, joinRoom, broadcast, sendMessage, rtc.'),
    (b'{"action":"dance"}', '"action" must be one of keepAlive, joinRoom, broadcast, sendMessage, rtc.'),
    (b'{"action":7}', '"action" must be one of keepAlive, joinRoom, broadcast, sendMessage, rtc.'),
    (b'{"action":"joinRoom","rid":7}', '"rid" must be text or null, got int.'),
    (b'{"action":"joinRoom","rid":"\\ud800"}', NOT_JSON),
    (b'{"action":"broadcast","content":1}', '"rid" is missing.'),
    (b'{"action":"broadcast","rid":null,"content":1}', '"rid" must be text, got null.'),
    (
        b'{"action":"broadcast","rid":"\\udc00","content":1}',
        NOT_JSON,
    ),
    (b'{"action":"broadcast","rid":7,"content":"\\ud800"}', '"rid" must be text, got int.'),
    (b'{"action":"broadcast","rid":"g","content":NaN}', NOT_JSON),
    (
        b'{"action":"broadcast","rid":"g","content":[1,]}',
        NOT_JSON,
    ),
    (b'{"action":"sendMessage","content":1}', '"uid" is missing.'),
    (b'{"action":"rtc","uid":"cid:c"}', '"content" is missing.'),
    (b'{"action":"broadcast","rid":"g","content":' + b"[" * 100_000, "The frame is nested too deep."),
]


@pytest.mark.parametrize(("frame", "text"), BAD)
def test_bad_frames(frame: bytes, text: str) -> None:
    with pytest.raises(BadCommandError) as caught:
        S.decode(frame)
    assert caught.value.message == text
    assert caught.value.id is not None  # so that its sender is told


@given(st.binary(max_size=40) | st.text('{}[]":,\\ud8acoinRm0123 rtd', max_size=60).map(str.encode))
def test_whatever_comes_is_a_command_or_a_bad_command(frame: bytes) -> None:
    try:
        S.decode(frame)
    except BadCommandError as error:
        assert json.loads(S.error(error.id, error))["#error"] == error.message


HALVES = st.text(st.characters(exclude_categories=()) | st.sampled_from('%\\"#\ud800\udc00'))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | HALVES,
    lambda inner: st.lists(inner) | st.dictionaries(HALVES, inner),
    max_leaves=10,
)


@given(JSON, st.text())
def test_any_json_goes_through(value: Any, group: str) -> None:
    """The client's ``decodeURI`` changes nothing that holds no percent sign, and JSON means itself."""
    command = S.decode(json.dumps({"action": "broadcast", "rid": group, "content": value}).encode())
    assert isinstance(command, Post)
    assert command.to == Recipient(group=group)
    for event in (Message(command.message, "u%", "c", group, 1), Private(command.message, "u%", "c")):
        frame = S.event(event)
        assert b"%" not in frame
        heard = json.loads(frame)
        payload = heard["#message" if isinstance(event, Message) else "#private"]
        assert json.dumps(payload) == json.dumps(value)  # 0.0 is not 0, and -0.0 is neither
        assert (heard["#user_id"], heard.get("#srid")) == ("u%", group if isinstance(event, Message) else None)
