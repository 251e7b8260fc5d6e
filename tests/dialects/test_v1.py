"""Dialect v1: the wire examples of the design, letter for letter, and an answer to every malformed frame."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.dialects.base import BadCommandError
from hubbub.dialects.v1 import V1
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import (
    LEFT,
    Command,
    Connect,
    GroupRow,
    Groups,
    Join,
    Leave,
    Message,
    Page,
    Position,
    Post,
    Posted,
    Private,
    Recipient,
    Reply,
    UserRow,
    Users,
    Welcome,
    joined,
    notice,
    sent,
)

V = V1()


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ('{"id":1,"do":"connect","token":"t"}', Connect(id=1, token="t")),
        ('{"id":1,"do":"connect","guest":"alice"}', Connect(id=1, guest="alice")),
        ('{"id":2,"do":"join","group":"HelloWorld"}', Join(id=2, group="HelloWorld")),
        ('{"id":2,"do":"join","group":null}', Join(id=2, group=None)),
        ('{"do":"leave"}', Leave()),
        (
            '{"id":2,"do":"join","group":"g","notices":false,"invisible":true}',
            Join(id=2, group="g", notices=False, invisible=True),
        ),
        (
            '{"id":4,"do":"groups","searchFor":"group","value":"Hello","condition":">=","limit":50}',
            Groups(id=4, search_for="group", value="Hello", condition=">=", limit=50),
        ),
        ('{"id":5,"do":"users","group":"HelloWorld"}', Users(id=5, group="HelloWorld")),
        ('{"id":1,"id":2,"do":"leave"}', Leave(id=2)),
        ('{"do":"leave","later":"unknown fields are ignored"}', Leave()),
    ],
)
def test_commands(frame: str, command: Command) -> None:
    assert V.decode(frame.encode()) == command


@pytest.mark.parametrize(
    ("to", "recipient"),
    [('{"group":"g"}', Recipient(group="g")), ('{"user_id":"u"}', Recipient(user_id="u")), ('"g"', "g")],
)
@pytest.mark.parametrize("message", ['{"msg": "hi"}', "null", "0", "false", '""', '"\\ud83d\\ude00"', "[ 1 ]"])
def test_the_message_stays_as_it_was_written(to: str, recipient: Recipient | str, message: str) -> None:
    command = V.decode(f'{{"id":3,"do":"post","to":{to},"message":{message}}}'.encode())
    assert isinstance(command, Post)
    assert command.to == recipient
    assert bytes(command.message) == message.encode()
    event = V.event(Message(command.message, "u", "c", "g", 7))
    assert f'"message":{message},"sender":"u"' in event.decode()


@pytest.mark.parametrize(
    ("reply", "ok"),
    [
        (
            Welcome("alice", "c", "n", 25, 65536),
            '{"user_id":"alice","connection_id":"c","node":"n","ping":25,"max_message":65536,"expires":null}',
        ),
        (
            joined("HelloWorld", Position("e", 0)),
            '{"type":"success","message":"Joined realtime message group: \\"HelloWorld\\".",'
            '"position":{"epoch":"e","seq":0}}',
        ),
        (LEFT, '{"type":"success","message":"Left realtime message group."}'),
        (sent(2), '{"type":"success","message":"Message sent.","recipients":2}'),
        (
            Page([GroupRow("HelloWorld", 1, 1)], "end", True),
            '{"list":[{"group":"HelloWorld","number_of_users":1,"number_of_connections":1}],'
            '"startKey":"end","endOfList":true}',
        ),
        (
            Page([UserRow("alice", "c")], {"user_id": "alice", "connection_id": "c"}, False),
            '{"list":[{"user_id":"alice","connection_id":"c"}],'
            '"startKey":{"user_id":"alice","connection_id":"c"},"endOfList":false}',
        ),
    ],
)
def test_replies(reply: Reply, ok: str) -> None:
    assert V.reply(3, reply).decode() == f'{{"id":3,"ok":{ok}}}'


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        (
            Message(msgspec.Raw(b'{"msg":"hi"}'), "alice", "c", "HelloWorld", 7),
            '{"type":"message","message":{"msg":"hi"},"sender":"alice","sender_cid":"c","sender_rid":"HelloWorld",'
            '"seq":7,"code":null}',
        ),
        (
            Private(msgspec.Raw(b"0"), "bob", None),
            '{"type":"private","message":0,"sender":"bob","sender_cid":null,"sender_rid":null,"code":null,"seq":0}',
        ),
        (
            Message(msgspec.Raw(b"1"), "alice", "c", "g", None),
            '{"type":"message","message":1,"sender":"alice","sender_cid":"c","sender_rid":"g","seq":null,"code":null}',
        ),
        (Posted("g", 7), '{"type":"posted","sender_rid":"g","seq":7}'),
        (Posted(None, 7), '{"type":"posted","sender_rid":null,"seq":7}'),
        (
            notice("USER_JOINED", "HelloWorld", UserRow("bob", "c"), 1),
            '{"type":"notice","message":"User \\"bob\\" has joined the message group.","sender":"bob",'
            '"sender_cid":"c","sender_rid":"HelloWorld","code":"USER_JOINED","user_connections":1}',
        ),
    ],
)
def test_events(event: Message, frame: str) -> None:
    assert V.event(event).decode() == frame


def test_errors() -> None:
    error = CommandError(ErrorCode.TOO_LARGE, "too large")
    assert V.error(4, error) == b'{"id":4,"error":{"code":"TOO_LARGE","message":"too large"}}'
    assert V.error(None, error).startswith(b'{"id":null,')


BAD: list[tuple[bytes, int | None, str]] = [
    (b"", None, "The frame is not JSON: Input data was truncated."),
    (b"hello", None, "The frame is not JSON: invalid character (byte 0)."),
    (b"[]", None, "A command must be object, got array."),
    (b"7", None, "A command must be object, got int."),
    (b'{"id":1}', 1, '"do" must be one of connect, join, leave, post, groups, users, watch, unwatch.'),
    (b'{"id":1,"do":"dance"}', 1, '"do" must be one of connect, join, leave, post, groups, users, watch, unwatch.'),
    (b'{"id":1,"do":7}', 1, '"do" must be one of connect, join, leave, post, groups, users, watch, unwatch.'),
    (b'{"id":"1","do":"leave"}', None, '"id" must be int or null, got text.'),
    (b'{"id":1.5,"do":"leave"}', None, '"id" must be int or null, got float.'),
    (b'{"id":1,"do":"join"}', 1, '"group" is missing.'),
    (b'{"id":1,"do":"join","group":"g","notices":1}', 1, '"notices" must be bool, got int.'),
    (b'{"id":1,"do":"join","group":"g","invisible":null}', 1, '"invisible" must be bool, got null.'),
    (b'{"id":1,"do":"post","to":"g","message":1,"keep":"no"}', 1, '"keep" must be bool, got text.'),
    (b'{"id":1,"do":"post","to":"g","message":1,"echo":0}', 1, '"echo" must be bool, got int.'),
    (b'{"id":1,"do":"join","group":7}', 1, '"group" must be text or null, got int.'),
    (b'{"id":1,"do":"post","to":"g"}', 1, '"message" is missing.'),
    (b'{"id":1,"do":"post","to":7,"message":1}', 1, '"to" must be text or object, got int.'),
    (b'{"id":1,"do":"post","to":{"room":"g"},"message":1}', 1, '"to" has an unknown field "room".'),
    (b'{"id":1,"do":"groups","limit":"5"}', 1, '"limit" must be int or null, got text.'),
    (b'{"id":1,"do":"groups","searchFor":"size"}', 1, "\"searchFor\" cannot be 'size'."),
    (b'{"id":1,"do":"groups","condition":"=>"}', 1, "\"condition\" cannot be '=>'."),
    (b'{"id":1,"do":"groups","value":true}', 1, '"value" must be int or float or text or null, got bool.'),
    (b'{"id":1,"do":"post","to":"g","message":NaN}', 1, "The frame is not JSON: invalid character"),
    (b'{"id":1,"do":"post","to":"g","message":-Infinity}', 1, "The frame is not JSON: invalid character"),
    (b'{"id":1,"do":"post","to":"g","message":01}', 1, "The frame is not JSON: invalid number"),
    (b'{"id":1,"do":"post","to":"g","message":"\\ud800"}', 1, "The frame contains half of a surrogate pair"),
    (b'{"id":1,"do":"join","group":"\\udc00\\ud800"}', 1, "The frame contains half of a surrogate pair"),
    (b'{"id":1,"do":"post","to":"g","message":[1,]}', 1, "The frame is not JSON: trailing comma in array"),
    (b'{"id":1,"do":"post","to":"g","message":"\x01"}', 1, "The frame is not JSON: invalid character"),
    (b'{"id":1,"do":"leave"} {}', 1, "The frame is not JSON: trailing characters"),
    (b'{"id":1,"do":"post","to":"g","message":' + b"[" * 100_000, 1, "The command is nested too deep."),
    (b'\xef\xbb\xbf{"id":1,"do":"leave"}', None, "The frame is not JSON: invalid character (byte 0)."),
]


@pytest.mark.parametrize(("frame", "id", "text"), BAD)
def test_bad_frames(frame: bytes, id: int | None, text: str) -> None:
    with pytest.raises(BadCommandError) as caught:
        V.decode(frame)
    assert caught.value.id == id
    assert caught.value.message.startswith(text)


def test_too_deep_is_too_large() -> None:
    with pytest.raises(BadCommandError) as caught:
        V.decode(b'{"do":"post","to":"g","message":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert caught.value.code == "TOO_LARGE"


@given(st.binary(max_size=40) | st.text('{}[]":,\\udo0123456789abcdef post', max_size=60).map(str.encode))
def test_whatever_comes_is_a_command_or_a_bad_command(frame: bytes) -> None:
    try:
        V.decode(frame)
    except BadCommandError as error:
        assert error.message
        json.loads(V.error(error.id, error))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_any_json_goes_through(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
    command = V.decode(b'{"do":"post","to":"g","message":' + text + b"}")
    assert isinstance(command, Post)
    assert json.loads(V.event(Message(command.message, "u", "c", "g", 1)))["message"] == json.loads(text)


@pytest.mark.parametrize(
    "frame",
    [
        '{"id":1,"do":"groups","value":"a","condition":"@"}',
        '{"id":1,"do":"groups","searchFor":"@"}',
        '{"id":1,"do":"post","message":1,"to":{"@":1}}',
        '{"id":1,"do":"@"}',
    ],
)
@pytest.mark.parametrize("text", ["A" * 50_000, "\\\\" * 50_000, " - at `$.x`" * 5_000])
def test_an_error_repeats_little_of_what_is_wrong(frame: str, text: str) -> None:
    with pytest.raises(BadCommandError) as refused:
        V1().decode(frame.replace("@", text).encode())
    assert len(refused.value.message) < 350
    assert '"' in refused.value.message
