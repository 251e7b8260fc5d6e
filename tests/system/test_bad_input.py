"""Bad input on the WebSocket: one outcome each, for the sender alone. The HTTP API's table is in test_http.py."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from hubbub.server import Server
from support.clients import Peer

Peers = Callable[..., Awaitable[Peer]]

DEEP = "[" * 100_000 + "]" * 100_000
POST = '{"id":9,"do":"post","to":{"group":"g"},"message":%s}'

# (what is sent, the reply's id, its code, what its text says)
REPLIES = [
    ('{"id":9,"do":"dance"}', 9, "INVALID_PARAMETER", '"do" must be one of connect, join'),
    ('{"id":9}', 9, "INVALID_PARAMETER", '"do" must be one of'),
    ('{"id":"9","do":"leave"}', None, "INVALID_PARAMETER", '"id" must be int'),
    ('{"id":9,"do":"join"}', 9, "INVALID_PARAMETER", '"group" is missing'),
    ('{"id":9,"do":"join","group":7}', 9, "INVALID_PARAMETER", '"group" must be text'),
    ('{"id":9,"do":"join","group":"%s"}' % ("x" * 257), 9, "INVALID_PARAMETER", "1 to 256 characters"),
    ('{"id":9,"do":"join","group":"\\ud800"}', 9, "INVALID_PARAMETER", "surrogate"),
    ('{"id":9,"do":"post","to":{"group":"g"}}', 9, "INVALID_PARAMETER", '"message" is missing'),
    ('{"id":9,"do":"post","message":1}', 9, "INVALID_PARAMETER", '"to" is missing'),
    ('{"id":9,"do":"post","to":"%s","message":1}' % ("x" * 257), 9, "INVALID_PARAMETER", '"to" must be 1 to 256'),
    ('{"id":9,"do":"post","to":{"group":"%s"},"message":1}' % ("x" * 257), 9, "INVALID_PARAMETER", '"group" must be 1'),
    ('{"id":9,"do":"post","to":"","message":1}', 9, "INVALID_PARAMETER", '"to" must be the name of a group'),
    ('{"id":9,"do":"post","to":{},"message":1}', 9, "INVALID_PARAMETER", '"group" and "user_id"'),
    (
        '{"id":9,"do":"post","to":{"group":"g","user_id":"u"},"message":1}',
        9,
        "INVALID_PARAMETER",
        '"group" and "user_id"',
    ),
    (
        '{"id":9,"do":"post","to":{"user_id":"%s"},"message":1}' % ("x" * 257),
        9,
        "INVALID_PARAMETER",
        '"user_id" must be 1',
    ),
    ('{"id":9,"do":"post","to":{"user_id":""},"message":1}', 9, "INVALID_PARAMETER", '"user_id" must be 1'),
    (POST % ('"' + "x" * 65_535 + '"'), 9, "TOO_LARGE", "at most 65536"),
    (POST % DEEP, 9, "TOO_LARGE", "nested too deep"),
    (POST % ("[" * 65 + "]" * 65), 9, "TOO_LARGE", "deeper than 64 levels"),
    (POST % ("1" * 5000), 9, "INVALID_PARAMETER", "out of the range of a double"),
    (POST % "1e999", 9, "INVALID_PARAMETER", "out of the range of a double"),
    (POST % "NaN", 9, "INVALID_PARAMETER", "not JSON"),
    (POST % "Infinity", 9, "INVALID_PARAMETER", "not JSON"),
    (POST % '"\\ud83d"', 9, "INVALID_PARAMETER", "surrogate"),
    (POST % '"\x00"', 9, "INVALID_PARAMETER", "not JSON"),
    (POST % "{'a':1}", 9, "INVALID_PARAMETER", "not JSON"),
    ("hello", None, "INVALID_PARAMETER", "not JSON"),
    ("", None, "INVALID_PARAMETER", "not JSON"),
    ("[]", None, "INVALID_PARAMETER", "must be object"),
    ('{"id":9,"do":"groups","limit":0}', 9, "INVALID_PARAMETER", '"limit" must be 1 to 1000'),
    ('{"id":9,"do":"groups","limit":1001}', 9, "INVALID_PARAMETER", '"limit" must be 1 to 1000'),
    ('{"id":9,"do":"groups","value":1}', 9, "INVALID_PARAMETER", '"value"'),
    ('{"id":9,"do":"groups","condition":"~","value":"a"}', 9, "INVALID_PARAMETER", '"condition"'),
    ('{"id":9,"do":"groups","condition":">","value":"a","range":"b"}', 9, "INVALID_PARAMETER", '"range"'),
    ('{"id":9,"do":"groups","startKey":{"number_of_users":1,"group":"a"}}', 9, "INVALID_PARAMETER", '"startKey"'),
    ('{"id":9,"do":"groups","startKey":{"user_id":"a","connection_id":"b"}}', 9, "INVALID_PARAMETER", '"startKey"'),
    ('{"id":9,"do":"users","group":"g","startKey":{"group":"a"}}', 9, "INVALID_PARAMETER", '"startKey"'),
    ('{"id":9,"do":"users","group":""}', 9, "INVALID_PARAMETER", '"group" must be 1'),
    ('{"id":9,"do":"connect"}', 9, "INVALID_PARAMETER", '"token", "guest" and "ticket"'),
    ('{"id":9,"do":"connect","guest":""}', 9, "INVALID_PARAMETER", '"guest"'),
    ('{"id":9,"do":"connect","token":"x"}', 9, "UNAUTHORIZED", "token"),
    ('{"id":9,"do":"connect","guest":"somebody else"}', 9, "FORBIDDEN", "another user"),
]


@pytest.mark.parametrize(("frame", "id", "code", "text"), REPLIES, ids=[str(n) for n in range(len(REPLIES))])
async def test_the_sender_is_told_and_stays(
    server: Server, peers: Peers, frame: str, id: int | None, code: str, text: str
) -> None:
    sender, bystander = await peers(server, guest="ada", group="g"), await peers(server, guest="bob", group="g")
    assert (await sender.event())["code"] == "USER_JOINED"
    # The command limit is not what these are about.
    frame = frame if len(frame) < 131_072 else frame[:60_000]
    await sender.socket.send(frame)
    reply = await sender.frame()
    assert (reply["id"], reply["error"]["code"]) == (id, code)
    assert text in reply["error"]["message"]
    assert await bystander.quiet()
    assert (await sender.do("post", to="g", message="still here"))["recipients"] == 2


GOOD = [
    '"\\u0000"',
    '"\\ud83d\\ude00"',
    '{"a":1,"a":2}',
    "1e308",
    "[" * 64 + "]" * 64,
    '"\u2028\x7f"',
    " [ ] ",
    '{"":0}',
]


@pytest.mark.parametrize("message", GOOD)
async def test_unusual_but_valid_messages_arrive_as_they_were_written(
    server: Server, peers: Peers, message: str
) -> None:
    sender, member = await peers(server, guest="ada", group="g"), await peers(server, guest="bob", group="g")
    await sender.event()
    await sender.socket.send(POST % message)
    raw = str(await member.socket.recv())
    assert f'"message":{message.strip()},' in raw
    assert json.loads(raw)["message"] == json.loads(message)


async def test_a_stale_cursor_goes_on_where_it_stood(server: Server, peers: Peers) -> None:
    members = [await peers(server, guest="ada", group=name) for name in "abc"]
    page = await members[0].do("groups", limit=1)
    await members[0].do("leave")
    rest = await members[0].do("groups", startKey=page["startKey"])
    assert [row["group"] for row in rest["list"]] == ["b", "c"]


async def test_duplicate_keys_the_last_one_counts(server: Server, peers: Peers) -> None:
    peer = await peers(server, guest="ada")
    await peer.socket.send('{"id":8,"id":9,"do":"join","group":"a","group":"b"}')
    reply = await peer.frame()
    assert (reply["id"], reply["ok"]["message"]) == (9, 'Joined realtime message group: "b".')
