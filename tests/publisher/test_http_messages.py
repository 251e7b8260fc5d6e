"""Requests as the server reads them, and every kind of answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.client import GroupRow, Page, Sent
from hubbub.messages import Groups, Users
from hubbub.publisher.calls import Disconnect, make_post
from hubbub.publisher.http_messages import HttpRequest, read_answer, to_request
from hubbub.publisher.retries import AttemptError
from hubbub.transports.http.input import decode, read_groups, read_users

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(NAMES)
def test_the_server_reads_the_name_that_was_meant(name: str) -> None:
    path = to_request(make_post("group", name, 1, "k", None, None)).path
    _, version, kind, segment, end = path.split("/")
    assert (version, kind, end) == ("v1", "groups", "messages")
    assert decode(segment.encode(), "path") == name
    assert segment.strip("/?#.") == segment


@given(
    st.builds(
        Groups,
        search_for=st.just("group"),
        value=st.none() | NAMES,
        condition=st.sampled_from([None, "=", ">=", "!="]),
        limit=st.none() | st.integers(1, 1000),
        ascending=st.booleans(),
        start_key=st.none() | st.sampled_from(["start", "end"]) | st.dictionaries(NAMES, NAMES | st.integers(0, 9)),
    )
    | st.builds(
        Groups,
        search_for=st.just("number_of_users"),
        value=st.none() | st.integers(0, 10**6) | st.floats(0, 1e6),
        range=st.none() | st.integers(0, 10**6),
    )
)
def test_the_server_reads_the_query_that_was_meant(command: Groups) -> None:
    read = read_groups(urlsplit(to_request(command).path).query.encode())
    assert msgspec.structs.asdict(read) == msgspec.structs.asdict(command)


@given(NAMES, st.none() | NAMES, st.booleans())
def test_queries_for_users(group: str, user_id: str | None, ascending: bool) -> None:
    command = Users(
        group=group, user_id=user_id, ascending=ascending, start_key={"user_id": "ü&=", "connection_id": "+"}
    )
    query = urlsplit(to_request(command).path).query
    assert read_users(query.encode(), group) == command


def test_bodies_and_methods() -> None:
    request = to_request(make_post("user", "ada", [1], "k", 2, "bob"))
    assert (request.method, request.path) == ("POST", "/v1/users/ada/messages")
    assert msgspec.json.decode(request.body or b"") == {
        "message": [1], "key": "k", "min_recipients": 2, "sender": "bob"
    }  # fmt: skip
    unkept = to_request(make_post("group", "g", 1, None, None, None, keep=False))
    assert msgspec.json.decode(unkept.body or b"") == {"message": 1, "keep": False}
    assert to_request(Disconnect("a/b", None, 60))[:3] == ("DELETE", "/v1/users/a%2Fb?for=60", None)
    assert to_request(Disconnect(None, "c", None)).path == "/v1/connections/c"


POST = HttpRequest("POST", "/", b"", Sent)


def test_results() -> None:
    body = b'{"type":"success","message":"Message sent.","recipients":3}'
    assert read_answer("s", POST, 200, {}, body) == Sent("Message sent.", 3)
    page = b'{"list":[{"group":"g","number_of_users":1,"number_of_connections":2}],"startKey":"end","endOfList":true}'
    assert read_answer("s", to_request(Groups()), 200, {}, page) == Page([GroupRow("g", 1, 2)], "end", True)
    assert read_answer("s", to_request(Disconnect("a", None, None)), 200, {}, b'{"disconnected":2}') == 2


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "text", "retry_after"),
    [
        (429, {"retry-after": "7"}, b'{"error":{"code":"RATE_LIMITED","message":"Slow."}}', "RATE_LIMITED", "Slow.", 7),
        (429, {}, b"", "RATE_LIMITED", "s answered with HTTP status 429.", None),
        (503, {"retry-after": "x"}, b"<html>", "UNAVAILABLE", "s answered with HTTP status 503.", None),
        (504, {}, b"[" * 100_000, "UNAVAILABLE", "s answered with HTTP status 504.", None),
        (401, {}, b"<html>", "INTERNAL", "(HTTP status 401)", None),
        (400, {}, b'{"error":"x"}', "INTERNAL", "(HTTP status 400)", None),
        (400, {}, b'{"error":{"code":"FUTURE","message":"?"}}', "FUTURE", "?", None),
        (307, {"location": "/x" * 900}, b"", "INVALID_REQUEST", "redirects to /x", None),
        (304, {}, b"", "INVALID_REQUEST", "redirects (HTTP status 304)", None),
        (200, {}, b'{"type":"success","message":"Message sent."}', "INTERNAL", "does not answer like", None),
        (204, {}, b"", "INTERNAL", "(HTTP status 204)", None),
    ],
)
def test_failures(
    status: int, headers: dict[str, str], body: bytes, code: str, text: str, retry_after: float | None
) -> None:
    with pytest.raises(AttemptError) as caught:
        read_answer("s", POST, status, headers, body)
    assert caught.value.error.code == code
    assert text in caught.value.error.message
    assert len(caught.value.error.message) < 500
    assert caught.value.retry_after == retry_after


@given(st.integers(200, 599), st.binary(max_size=60))
def test_no_answer_raises_anything_else(status: int, body: bytes) -> None:
    outcome: Any = None
    with suppress(AttemptError):
        outcome = read_answer("s", POST, status, {}, body)
    assert outcome is None or isinstance(outcome, Sent)
