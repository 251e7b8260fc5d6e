"""What reads input, each with the pieces that its input is made of, its limit and its budget."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NamedTuple

from starlette.requests import Request

from hubbub.auth.authenticator import Authenticator
from hubbub.auth.claims import read_claims
from hubbub.auth.identity import Identity
from hubbub.auth.tickets import Tickets
from hubbub.backends.memory import MemoryBackend
from hubbub.client.wire import read_frame
from hubbub.dialects.base import BadCommandError
from hubbub.dialects.skapi import Skapi
from hubbub.dialects.v1 import V1
from hubbub.errors import CommandError
from hubbub.groups.directory import Directory, parse_query
from hubbub.groups.roster import Roster, parse_user_query
from hubbub.limits import check_message
from hubbub.messages import Groups, Post, UserRow, Users
from hubbub.session import run_now
from hubbub.settings import Settings
from hubbub.transports.http import input as http_input
from hubbub.transports.http.request_rates import RequestRates
from hubbub.transports.http.skapi import SkapiCalls, _Query
from hubbub.transports.refusal import HttpError, refusal
from hubbub.transports.websocket.frames import cut
from hubbub.transports.websocket.handshake import parse
from support.clients import SECRET
from support.cost import Budget

SETTINGS = Settings(secret=SECRET)
GROUPS = 3_000
"""Groups in the directory that is listed."""


class Target(NamedTuple):
    """Something that reads input.

    Attributes:
        prepare: Turns bytes into what is measured: a call that returns what is kept and what is said back. None if the
            bytes do not get that far.
        frames: What input may begin and end with.
        pieces: What is repeated in between.
        limit: Most bytes of input that get here.
        budget: What the call may cost.
    """

    prepare: Callable[[bytes], Callable[[], tuple[object, bytes]] | None]
    frames: list[tuple[bytes, bytes]]
    pieces: list[bytes]
    limit: int
    budget: Budget


# --- pieces -----------------------------------------------------------------------------------------------------------

NUMBERS = [b"1", b"-0", b"1e5", b"1e290", b"1e-320", b"1e999", b"1.2345678901e-300", b"9" * 400, b"0." + b"1" * 30]
TEXTS = [b'"', b'\\"', b"\\u0001", b"\\ud800", b"\\ud83d\\ude00", b"\\\\", b"A", b"\xc3\xa9", b"\xff", b"\0", b" "]
JSON = [
    *NUMBERS,
    *TEXTS,
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b",",
    b"[],",
    b"[[]],",
    b'"a":',
    b'"":{},',
    b"null",
    b"true,",
    b'"a":1e290,',
    b"1e290,",
    b'"\\ud800",',
    b"// ",
]
FIELDS = [
    b'"id":',
    b'"do":"post"',
    b'"to":',
    b'"group":"g"',
    b'"startKey":{',
    b'"value":',
    b'"since":{"epoch":"a","seq":1}',
]
BYTES = [
    b"\x81\x80\0\0\0\0",
    b"\x8a\x80\0\0\0\0",
    b"\x81\x81\0\0\0\0x",
    b"\x89\x80\0\0\0\0",
    b"\x88\x80\0\0\0\0",
    b"\x81\xfe\0\x7e\0\0\0\0" + b"x" * 126,
    b"\x81\xff",
    b"\0",
    b"\xff",
    b"\x81",
    b"\x01\x80\0\0\0\0",
]
QUERY = [
    b"&",
    b"=",
    b"%41",
    b"%",
    b"%ff",
    b"+",
    b"a",
    b"a=b&",
    b"searchFor=group&",
    b"value=",
    b"startKey={",
    b"limit=1",
    b"%22",
    b"1e290",
    b"%5b",
    b";",
    b"9",
    b"token=x&",
]
HEADERS = [
    b"a:b\r\n",
    b"\r\n",
    b":",
    b"a",
    b",",
    b" ",
    b"sec-websocket-protocol:a,\r\n",
    b"host:h\r\n",
    b"origin:http://a\r\n",
    b"authorization:Bearer x\r\n",
    b"\xff",
    b"%41",
    b"&a=b",
    b"[",
    b"@",
    b"/",
    b".",
]
CLAIMS = [*JSON, b'"groups":[', b'"*",', b'"a*b?",', b'"[a-z]*",', b'"sub":"u",', b'"exp":9999999999,', b'"aud":[']
GLOBS = [b"*", b"?", b"[a-z]", b"[!a]", b"a", b"[", b"]", b"\\", b"**", b"*a", b"a*?", b"\n"]

_HANDSHAKE = (
    b"GET /v1/connect",
    b" HTTP/1.1\r\nhost: h\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
)


# --- what is measured -------------------------------------------------------------------------------------------------

_V1, _SKAPI = V1(), Skapi()


def _cut(data: bytes) -> Callable[[], tuple[object, bytes]]:
    return lambda: (cut(data), b"")


def _v1(data: bytes) -> Callable[[], tuple[object, bytes]]:
    return lambda: _decode(_V1, data)


def _skapi(data: bytes) -> Callable[[], tuple[object, bytes]]:
    return lambda: _decode(_SKAPI, data)


def _decode(dialect: V1 | Skapi, data: bytes) -> tuple[object, bytes]:
    try:
        return dialect.decode(data), b""
    except BadCommandError as error:
        return None, dialect.error(error.id, error)


def _message(data: bytes) -> Callable[[], tuple[object, bytes]] | None:
    for dialect, frame in (
        (_V1, b'{"do":"post","to":"g","message":%b}'),
        (_SKAPI, b'{"action":"broadcast","rid":"g","content":%b}'),
    ):
        with suppress(BadCommandError):
            command = dialect.decode(frame % data)
            if isinstance(command, Post):
                return _check(command)
    return None


def _check(post: Post) -> Callable[[], tuple[object, bytes]]:
    return lambda: _answer(lambda: check_message(post.message, SETTINGS.max_message, SETTINGS.max_depth))


def _answer(call: Callable[[], object]) -> tuple[object, bytes]:
    try:
        return call(), b""
    except HttpError as error:
        return None, refusal(error)
    except CommandError as error:
        return None, str(error).encode("utf-8", "surrogatepass")


def _directory() -> tuple[Directory, Roster]:
    directory, roster = Directory(), Roster()
    for number in range(GROUPS):
        directory.put(f"room {number:05d} " + "a" * 200, 1 + number % 7, 1 + number % 7)
        roster.add(UserRow(f"user {number:05d}", f"{number:012d}"))
    return directory, roster


_DIRECTORY, _ROSTER = _directory()


def _listing(data: bytes) -> Callable[[], tuple[object, bytes]] | None:
    """Read and answer a listing."""
    command = _decode(_V1, data)[0]
    if isinstance(command, Groups):
        return lambda: _answer(lambda: _DIRECTORY.page(parse_query(command, 1000)) and None)
    if isinstance(command, Users):
        return lambda: _answer(lambda: _ROSTER.page(parse_user_query(command, 1000)) and None)
    return None


def _query(data: bytes) -> Callable[[], tuple[object, bytes]]:
    def read() -> object:
        return http_input.read_groups(data)

    return lambda: _answer(read)


def _users_query(data: bytes) -> Callable[[], tuple[object, bytes]]:
    return lambda: _answer(lambda: http_input.read_users(data, "g"))


def _path(data: bytes) -> Callable[[], tuple[object, bytes]]:
    return lambda: _answer(lambda: http_input.decode(data, "path"))


def _body(data: bytes) -> Callable[[], tuple[object, bytes]]:
    return lambda: _answer(lambda: http_input._parse(bytes(bytearray(data))))


def _skapi_body(data: bytes) -> Callable[[], tuple[object, bytes]]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": data, "more_body": False}

    # All that reading takes of a node is its settings.
    calls = SkapiCalls(SimpleNamespace(settings=SETTINGS), RequestRates(0, 1))  # type: ignore[arg-type]

    def read() -> object:
        request = Request({"type": "http", "headers": []}, receive)
        return run_now(calls._read(request, _Query))

    return lambda: _answer(read)


def _handshake(data: bytes) -> Callable[[], tuple[object, bytes]] | None:
    # What is no request line never gets here: the HTTP parser comes first.
    if data.partition(b"\r\n")[0].count(b" ") != 2 or not data.startswith(b"GET /"):
        return None
    return lambda: _answer(lambda: parse(data, ("https://example.com",), local_only=False))


def _signed(data: bytes) -> Callable[[], tuple[object, bytes]]:
    header = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    signed = header + b"." + base64.urlsafe_b64encode(data).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).rstrip(b"=")
    token = (signed + b"." + signature).decode()
    auth = Authenticator(SETTINGS)
    return lambda: _answer(lambda: auth.check(token))


def _token(data: bytes) -> Callable[[], tuple[object, bytes]]:
    token = data.decode("latin-1")
    auth = Authenticator(SETTINGS)
    return lambda: _answer(lambda: auth.check(token))


def _ticket(data: bytes) -> Callable[[], tuple[object, bytes]]:
    tickets = Tickets(10.0)
    tickets.use(SECRET.encode())
    token = data.decode("latin-1")
    return lambda: _answer(lambda: tickets.check(token))


def _claims(data: bytes) -> Callable[[], tuple[object, bytes]]:
    return lambda: _answer(lambda: read_claims(data, SETTINGS, 0.0))


def _patterns(data: bytes) -> Callable[[], tuple[object, bytes]] | None:
    """Read a page of the directory with the patterns of a token, one after each comma; not for the first time."""
    patterns = tuple(data.decode("latin-1").split(","))[:1000]
    if any(len(pattern) > 256 for pattern in patterns):
        return None
    query = parse_query(Groups(limit=100), 1000)
    backend = MemoryBackend()
    backend._directory = _DIRECTORY

    def read() -> object:
        identity = Identity("u", patterns)
        run_now(backend.groups(query, getattr(identity, "visible", identity.may_join)))
        return None

    return lambda: _answer(read)


def _new_patterns(data: bytes) -> Callable[[], tuple[object, bytes]] | None:
    """Ask whether a token allows one group; each time the patterns are others, so that no cache helps."""
    patterns = data.decode("latin-1").split(",")[:999]
    if any(len(pattern) > 250 for pattern in patterns):
        return None
    numbers = itertools.count()

    def ask() -> object:
        others = tuple([f"{pattern}{next(numbers)}" for pattern in patterns])
        Identity("u", others).may_join("room " + "a" * 200)
        return None

    return lambda: _answer(ask)


def _client(data: bytes) -> Callable[[], tuple[object, bytes]]:
    def read() -> tuple[object, bytes]:
        read_frame(data)  # raises nothing, whatever comes
        return None, b""

    return read


def _long(call: Any, where: str) -> list[tuple[bytes, bytes]]:
    """Return the frames in which a command has something long at one place."""
    whole = json.dumps({"id": 1, "do": call, where: "@"}).encode()
    before, _, after = whole.partition(b"@")
    return [(before, after), (before[:-1], after[1:])]


_COMMANDS: list[tuple[bytes, bytes]] = [
    (b"", b""),
    (b'{"id":1,"do":"', b'"}'),
    (b'{"id":', b',"do":"leave"}'),
    (b'{"id":1,"do":"leave","x":[', b"0]}"),
    (b'{"id":1,"do":"post","message":1,"to":{"', b'":1}}'),
    (b'{"id":1,"do":"groups","searchFor":"number_of_users","startKey":{', b'"group":"a"}}'),
    *_long("join", "group"),
    *_long("post", "to"),
    *_long("groups", "condition"),
    *_long("groups", "searchFor"),
    *_long("groups", "value"),
    *_long("users", "limit"),
    *_long("connect", "token"),
]

TARGETS: dict[str, Target] = {
    "frames": Target(_cut, [(b"", b"")], BYTES, 262_144, Budget(steps=14, kept=16)),
    "v1": Target(_v1, _COMMANDS, [*JSON, *FIELDS], 131_072, Budget()),
    "skapi": Target(
        _skapi,
        [
            (b"", b""),
            (b'{"action":"', b'"}'),
            (b'{"action":"broadcast","rid":"g","content":[', b"0]}"),
            (b'{"action":"broadcast","rid":"', b'","content":1}'),
            (b'{"action":"broadcast","content":1,"rid":', b"}"),
        ],
        JSON,
        131_072,
        Budget(steps=8),
    ),
    "message": Target(
        _message,
        [(b"", b""), (b"[", b"0]"), (b'"', b'"'), (b'{"":', b"}"), (b'["\\ud800",', b"0]")],
        JSON,
        65_536,
        Budget(steps=5),
    ),
    "listing": Target(
        _listing,
        [
            (b'{"do":"groups","value":"', b'"}'),
            (b'{"do":"groups","startKey":{"group":"', b'"}}'),
            (b'{"do":"groups","searchFor":"number_of_users","value":', b',"condition":">"}'),
            (b'{"do":"groups","condition":">=","value":"', b'"}'),
            (b'{"do":"users","user_id":"', b'"}'),
            (b'{"do":"users","startKey":{"user_id":"a","connection_id":"', b'"}}'),
            (b'{"do":"users","limit":', b"}"),
            (b'{"do":"groups","startKey":{"number_of_users":', b',"group":"a"},"searchFor":"number_of_users"}'),
        ],
        [*NUMBERS, b"a", b"\xf4\x8f\xbf\xbf", b"\\udbff\\udfff", b"\xed\x9f\xbf", b"\\u0000", b"-", b"9", b" "],
        131_072,
        Budget(base=200_000),
    ),
    "query": Target(
        _query,
        [(b"", b""), (b"value=", b""), (b"startKey=", b""), (b"startKey={", b'"a":1}')],
        [*QUERY, *JSON],
        32_768,
        Budget(steps=8),
    ),
    "users query": Target(
        _users_query,
        [(b"", b""), (b"startKey=", b""), (b"startKey={", b'"a":1}')],
        [*QUERY, *JSON],
        32_768,
        Budget(steps=8),
    ),
    "path": Target(_path, [(b"", b"")], QUERY, 32_768, Budget(steps=10)),
    "body": Target(
        _body,
        [(b"", b""), (b'{"message":', b"}"), (b'{"message":1,"', b'":1}'), (b'{"message":1,"key":"', b'"}')],
        JSON,
        131_072,
        Budget(),
    ),
    "skapi body": Target(
        _skapi_body,
        [(b"", b""), (b'{"startKey":{', b'"a":1}}'), (b'{"group":"', b'"}'), (b'{"searchFor":"', b'"}')],
        JSON,
        131_072,
        Budget(kept=24),
    ),
    "handshake": Target(
        _handshake,
        [
            (_HANDSHAKE[0] + b"?", _HANDSHAKE[1] + b"\r\n"),
            (_HANDSHAKE[0] + _HANDSHAKE[1], b"\r\n"),
            (_HANDSHAKE[0] + _HANDSHAKE[1] + b"sec-websocket-protocol: ", b"\r\n\r\n"),
            (_HANDSHAKE[0] + _HANDSHAKE[1] + b"origin: ", b"\r\n\r\n"),
            (b"GET /", _HANDSHAKE[1]),
        ],
        [*HEADERS, *QUERY],
        32_768,
        Budget(steps=8, answer=1_500, kept=16),
    ),
    "token": Target(
        _token,
        [(b"", b""), (b"eyJhbGciOiJIUzI1NiJ9.", b""), (b"eyJhbGciOiJIUzI1NiJ9.e30.", b"")],
        [b"A", b".", b"=", b"-", b"\xff", b"eyJ", b"WwW1tb", b"W1tbW1tb"],
        131_072,
        Budget(base=60_000),
    ),
    "ticket": Target(
        _ticket,
        [(b"", b""), (b"eyJhbGciOiJIUzI1NiJ9.", b""), (b"eyJhbGciOiJIUzI1NiJ9.e30.", b"")],
        [b"A", b".", b"=", b"-", b"\xff", b"eyJ", b"W1tbW1tb"],
        131_072,
        Budget(base=60_000),
    ),
    "signed token": Target(
        _signed,
        [
            (b'{"sub":"u","exp":9999999999,"groups":["', b'"]}'),
            (b'{"sub":"u","exp":9999999999,"x":[', b"0]}"),
            (b"", b""),
        ],
        CLAIMS,
        6_000,
        Budget(steps=40, base=60_000, kept=24, kept_base=16_384),
    ),
    "claims": Target(
        _claims,
        [
            (b'{"sub":"u","exp":9999999999,"groups":["', b'"]}'),
            (b'{"sub":"', b'","exp":9}'),
            (b'{"sub":"u","exp":', b"}"),
        ],
        CLAIMS,
        6_000,
        Budget(steps=40, base=60_000, kept=24, kept_base=16_384),
    ),
    "patterns": Target(
        _patterns,
        [(b"", b""), (b"a*,", b"")],
        [*GLOBS, b",", b"a,", b"*a,", b"?,", b"room*,", b"[a-z],"],
        6_000,
        Budget(steps=0, base=1_200_000),  # 10 ms: a page is one turn of the loop
    ),
    "new patterns": Target(
        _new_patterns,
        [(b"", b""), (b"a*,", b"")],
        [*GLOBS, b",", b"a,", b"*a,", b"?,", b"room*,", b"[a-z],"],
        6_000,
        Budget(steps=0, base=2_400_000, kept=64, kept_base=262_144),  # 20 ms, once for each token
    ),
    "client": Target(
        _client,
        [
            (b"", b""),
            (b'{"type":"', b'"}'),
            (b'{"type":"message","message":[', b'0],"sender":"a","sender_cid":null,"sender_rid":"g","seq":1}'),
            (b'{"id":1,"ok":[', b"0]}"),
            (b'{"id":', b',"error":{"code":"a","message":"b"}}'),
            (b'{"type":"gap","position":', b"}"),
        ],
        JSON,
        131_072,
        Budget(steps=8),
    ),
}
