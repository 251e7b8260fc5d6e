"""Bad input over HTTP, as a table: each has one status, one code and a text that names the field and the limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import CommandError
from hubbub.server import Server
from hubbub.transports.http.input import decode
from support.clients import SECRET, Peer, Raw, bearer, server_bearer

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]
Start = Callable[..., Awaitable[Server]]

LONG = "x" * 257

PATHS = [
    ("/v1/groups//users", '"group" must be 1 to 256 characters; it is empty.'),
    (f"/v1/groups/{LONG}/users", '"group" must be 1 to 256 characters; it is 257 characters long.'),
    ("/v1/groups/%FF/users", "UTF-8"),
    ("/v1/groups/%C3/users", "UTF-8"),
    ("/v1/groups/%ED%A0%80/users", "UTF-8"),  # half of a surrogate pair
    ("/v1/groups/%C0%AF/users", "UTF-8"),  # a slash, too long
    ("/v1/groups/%/users", "hexadecimal"),
    ("/v1/groups/%4/users", "hexadecimal"),
    ("/v1/groups/%zz/users", "hexadecimal"),
    ("/v1/groups?limi=5", '"limi" is not a parameter. Known parameters: searchFor, value'),
    ("/v1/groups?group=g", '"group" is not a parameter'),
    ("/v1/groups?do=groups", '"do" is not a parameter'),
    ("/v1/groups?fetchMore=true", '"fetchMore" is not a parameter'),
    ("/v1/groups/g/users?searchFor=group", '"searchFor" is not a parameter. Known parameters: user_id, limit'),
    ("/v1/groups?limit=1&limit=2", '"limit" is given twice'),
    ("/v1/groups?limit=0", '"limit" must be 1 to 1000'),
    ("/v1/groups?limit=1001", '"limit" must be 1 to 1000'),
    ("/v1/groups?limit=", '"limit" must be an integer'),
    ("/v1/groups?limit", '"limit" must be an integer'),
    ("/v1/groups?limit=1.5", '"limit" must be an integer'),
    ("/v1/groups?limit=true", '"limit" must be an integer'),
    ("/v1/groups?limit=" + "9" * 5000, '"limit" must be'),
    ("/v1/groups?limit=%D9%A1", '"limit" must be an integer'),  # an Arabic digit
    ("/v1/groups?ascending=1", '"ascending" must be true or false'),
    ("/v1/groups?ascending=", '"ascending" must be true or false'),
    ("/v1/groups?searchFor=name", '"searchFor" cannot be'),
    ("/v1/groups?condition=~&value=a", '"condition" cannot be'),
    ("/v1/groups?condition=%3E", '"condition" needs a "value"'),
    ("/v1/groups?range=a", '"range"'),
    ("/v1/groups?value=a&range=b&condition=%3D", '"range" and "condition"'),
    ("/v1/groups?searchFor=number_of_users&value=many", '"value" must be a number'),
    ("/v1/groups?searchFor=number_of_users&value=NaN", '"value" must be a number'),
    ("/v1/groups?searchFor=number_of_users&value=Infinity", '"value" must be a number'),
    ("/v1/groups?searchFor=number_of_users&value=1e999", '"value" must be a number'),
    ("/v1/groups?searchFor=number_of_users&value=" + "1" * 5000, '"value" must be a number'),
    ("/v1/groups?searchFor=number_of_users&value=1&range=x", '"range" must be a number'),
    ("/v1/groups?value=%FF", 'parameter "value" is not UTF-8'),
    ("/v1/groups?%FF=1", "query string is not UTF-8"),
    ("/v1/groups?value=%", "hexadecimal"),
    ("/v1/groups?startKey=x", '"startKey" must be'),
    ("/v1/groups?startKey=7", '"startKey" must be'),
    ("/v1/groups?startKey=%5B%5D", '"startKey" must be'),
    ("/v1/groups?startKey=%7B%7D", '"startKey" must be'),
    ('/v1/groups?startKey={"group":7}', '"startKey" must be'),
    ('/v1/groups?startKey={"number_of_users":1,"group":"a"}', '"startKey" must be'),  # of the other order
    ('/v1/groups?startKey={"user_id":"a","connection_id":"b"}', '"startKey" must be'),  # of another list
    ('/v1/groups?startKey={"group":"%5Cud800"}', '"startKey" must be'),
    ("/v1/groups?startKey=" + "[" * 5000, '"startKey" must be'),
    ('/v1/groups/g/users?startKey={"group":"a"}', '"startKey" must be'),
]


async def test_paths_and_parameters(server: Server, http: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, text in PATHS:
        with subtests.test(path[:80]):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_PARAMETER"), answer.text
            assert text in answer.json()["error"]["message"]
    assert (await http.get("/v1/groups?&limit=5&")).status_code == 200  # stray separators mean nothing


DEEP = "[" * 60_000 + "]" * 60_000

BODIES = [
    (b"", 400, "not JSON"),
    (b"hello", 400, "not JSON"),
    (b"{", 400, "not JSON"),
    (b'{"message":1} {}', 400, "not JSON"),
    (b"{'message':1}", 400, "not JSON"),
    (b'{"message":NaN}', 400, "not JSON"),
    (b'{"message":-Infinity}', 400, "not JSON"),
    (b'{"message":01}', 400, "not JSON"),
    (b'{"message":"\x00"}', 400, "not JSON"),
    (b'\xef\xbb\xbf{"message":1}', 400, "not JSON"),  # RFC 8259, section 8.1: no byte order mark
    (b'{"message":"\\ud83d"}', 400, "surrogate"),
    (b'{"message":"\\ud83d and more"}', 400, "surrogate"),
    (b'{"message":["\\ude00"]}', 400, "surrogate"),
    (b'{"message":"\xff"}', 400, "not UTF-8"),
    (b'{"message":"\xed\xa0\x80"}', 400, "not UTF-8"),
    ('{"message":1}'.encode("utf-16"), 400, "not UTF-8"),
    (b"[]", 400, 'object with the field "message"'),
    (b"7", 400, 'object with the field "message"'),
    (b"null", 400, 'object with the field "message"'),
    (b"{}", 400, '"message" is missing'),
    (b'{"Message":1}', 400, 'Only "message", "key", "min_recipients", "sender" and "keep" are allowed'),
    (b'{"message":1,"to":"g"}', 400, 'Only "message", "key", "min_recipients", "sender" and "keep" are allowed'),
    (b'{"message":1e999}', 400, "out of the range of a double"),
    (b'{"message":' + b"1" * 5000 + b"}", 400, "out of the range of a double"),
    (f'{{"message":{DEEP}}}'.encode(), 413, "nested too deep"),
    (b'{"message":' + b"[" * 65 + b"]" * 65 + b"}", 413, "deeper than 64 levels"),
    (b'{"message":"' + b"x" * 65_535 + b'"}', 413, "at most 65536"),
    (b'{"message":"' + b"x" * 131_072 + b'"}', 413, "larger than 131072 bytes"),
]


async def test_bodies(secured: Server, browse: Browse, peers: Peers, subtests: pytest.Subtests) -> None:
    bystander = await peers(secured, token=bearer("u")["Authorization"].split()[1], group="g")
    http = browse(secured, headers=server_bearer())
    for path in ("/v1/groups/g/messages", "/v1/users/u/messages"):
        for body, status, text in BODIES:
            with subtests.test(f"{path} {body[:40]!r}"):
                answer = await http.post(path, content=body)
                code = "TOO_LARGE" if status == 413 else "INVALID_PARAMETER"
                assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
                assert text in answer.json()["error"]["message"]
    assert await bystander.quiet()


async def test_duplicate_keys_count_as_in_json_parse(secured: Server, browse: Browse, peers: Peers) -> None:
    member = await peers(secured, token=bearer("u")["Authorization"].split()[1], group="g")
    http = browse(secured, headers=server_bearer())
    assert (await http.post("/v1/groups/g/messages", content=b'{"message":1,"message":2}')).status_code == 200
    assert (await member.event())["message"] == 2


CONTENT_TYPES: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"Content-Type": "application/json"}, 200),
    ({"Content-Type": "Application/JSON; charset=UTF-8"}, 200),
    ({"Content-Type": 'application/json; charset="utf-8"'}, 200),
    ({"Content-Type": "application/json; charset=latin-1"}, 415),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ({"Content-Type": ""}, 415),
    ({"Content-Encoding": "gzip"}, 415),
]


async def test_the_body_must_claim_to_be_json(secured: Server, browse: Browse, subtests: pytest.Subtests) -> None:
    http = browse(secured, headers=server_bearer())
    for headers, status in CONTENT_TYPES:
        with subtests.test(str(headers)):
            answer = await http.post("/v1/groups/g/messages", content=b'{"message":1}', headers=headers)
            assert answer.status_code == status
            assert status == 200 or answer.json()["error"]["code"] == "INVALID_REQUEST"
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d sends, and a form of any web page
    text = (await http.post("/v1/groups/g/messages", content=b'{"message":1}', headers=form)).json()["error"]["message"]
    assert 'its Content-Type is "application/x-www-form-urlencoded"' in text
    assert 'Send the header "Content-Type: application/json"' in text


NAMES = [
    ("POST", "/v1/groups//messages", '"group" must be 1 to 256'),
    ("POST", f"/v1/groups/{LONG}/messages", '"group" must be 1 to 256'),
    ("POST", "/v1/users//messages", '"user_id" must be 1 to 256'),
    ("POST", f"/v1/users/{LONG}/messages", '"user_id" must be 1 to 256'),
    ("POST", "/v1/users/u/messages?x=1", '"x" is not a parameter. This path has no parameters'),
    ("DELETE", "/v1/users/", '"user_id" must be 1 to 256'),
    ("DELETE", f"/v1/users/{LONG}", '"user_id" must be 1 to 256'),
    ("DELETE", "/v1/users/%FF", "UTF-8"),
    ("DELETE", "/v1/users/u?user_id=v", '"user_id" is not a parameter'),
    ("DELETE", "/v1/connections/", '"connection_id" must be 1 to 256'),
    ("DELETE", f"/v1/connections/{LONG}", '"connection_id" must be 1 to 256'),
]


async def test_names_with_a_server_token(secured: Server, browse: Browse, subtests: pytest.Subtests) -> None:
    http = browse(secured, headers=server_bearer())
    for method, path, text in NAMES:
        with subtests.test(f"{method} {path[:60]}"):
            answer = await http.request(method, path, content=b'{"message":1}' if method == "POST" else None)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_PARAMETER"), answer.text
            assert text in answer.json()["error"]["message"]


async def test_an_endless_body_is_refused_at_the_limit(start: Start, raw: Callable[..., Awaitable[Raw]]) -> None:
    server = await start(secret=SECRET, max_message=1000, max_command=10_000)
    connection = await raw(server)
    head = f"POST /v1/groups/g/messages HTTP/1.1\r\nHost: x\r\nAuthorization: {server_bearer()['Authorization']}\r\n"
    await connection.send(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    await connection.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
    await connection.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
    await connection.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")  # and there it stays, without an end
    status, _, body = await connection.answer()
    assert status == 413
    assert b"larger than 10000 bytes" in body


async def test_a_length_over_the_limit_is_refused_before_the_body(
    secured: Server, raw: Callable[..., Awaitable[Raw]]
) -> None:
    connection = await raw(secured)
    head = f"POST /v1/groups/g/messages HTTP/1.1\r\nHost: x\r\nAuthorization: {server_bearer()['Authorization']}\r\n"
    await connection.send(head.encode() + b"Expect: 100-continue\r\nContent-Length: 131073\r\n\r\n")
    status, _, _ = await connection.answer()  # and no "100 Continue"
    assert status == 413


async def test_who_may_not_post_is_told_before_the_body(secured: Server, raw: Callable[..., Awaitable[Raw]]) -> None:
    connection = await raw(secured)
    await connection.send(b"POST /v1/groups/g/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    status, _, _ = await connection.answer()
    assert status == 401


@given(st.text(max_size=50))
def test_escapes_come_back_as_they_were(name: str) -> None:
    escaped = b"".join(b"%%%02x" % byte for byte in name.encode("utf-8", "ignore"))
    assert decode(escaped, "path") == name.encode("utf-8", "ignore").decode()


@given(st.binary(max_size=20))
def test_every_other_escape_is_refused_in_plain_words(raw: bytes) -> None:
    try:
        expected = raw.decode()
    except UnicodeDecodeError:
        with pytest.raises(CommandError, match="UTF-8"):
            decode(b"".join(b"%%%02X" % byte for byte in raw), "path")
    else:
        assert decode(b"".join(b"%%%02X" % byte for byte in raw), "path") == expected
