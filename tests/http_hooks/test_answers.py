"""What an app may answer, and what is a bad answer."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.http_hooks import answers
from hubbub.http_hooks.answers import MAX_DATA, BadAnswerError
from hubbub.hub.types import MAX_DENY, Deny, User

SENT = msgspec.Raw(b'{"text":"hi"}')


def test_who_somebody_is() -> None:
    assert answers.connect(b'{"user":{"user_id":"ada"}}') == User("ada")
    full = (
        b'{"user":{"user_id":7,"name":"Ada","groups":["a-*"],"post":[],"private":false,"data":{"a": 1},'
        b'"expires":"2026-12-01T00:00:00Z"}}'
    )
    expires = datetime(2026, 12, 1, tzinfo=UTC)
    user = answers.connect(full)
    assert user is not None
    assert bytes(user.data) == b'{"a": 1}'
    assert user == User(7, "Ada", ["a-*"], [], False, user.data, expires)
    assert answers.connect(b'{"user":null}') is None


def test_answers_to_joins_and_posts() -> None:
    answers.join(b'{"allow":true}')
    assert answers.message(SENT, b'{"allow":true}') is SENT
    assert answers.message(SENT, b'{"swallow":true}') is None
    assert answers.message(SENT, b'{"message":null}') == msgspec.Raw(b"null")
    assert answers.message(SENT, b'{"message": [1e400, 1] }') == msgspec.Raw(b"[1e400, 1]")


@pytest.mark.parametrize("read", [answers.connect, answers.join, lambda body: answers.message(SENT, body)])
def test_refusals(read: object) -> None:
    assert callable(read)
    with pytest.raises(Deny, match="Not your team"):
        read(b'{"deny":"Not your team."}')
    with pytest.raises(Deny, match="does not allow"):
        read(b'{"allow":false}')
    with pytest.raises(Deny) as long:
        read(b'{"deny":"' + b"x" * 5000 + b'"}')
    assert len(long.value.text) == MAX_DENY


BAD = [
    b"",
    b"null",
    b"{}",
    b"true",
    b"[]",
    b"<!doctype html><h1>Hello</h1>",
    b'{"allow":true',
    b'{"allow":1}',
    b'{"allow":"true"}',
    b'{"allow":null}',
    b'{"allow":true,"message":1}',
    b'{"allow":true,"deny":"no"}',
    b'{"allow":false,"user":null}',
    b'{"allow":true,"extra":1}',
    b'{"deny":1}',
    b'{"deny":null}',
    b'{"deny":"\xff"}',
    b'{"Allow":true}',
    b"\xef\xbb\xbf",
    b"[" * 60_000,
]


@pytest.mark.parametrize("body", BAD)
def test_no_answer_to_anything(body: bytes) -> None:
    for read in (answers.connect, answers.join, lambda given: answers.message(SENT, given)):
        with pytest.raises(BadAnswerError):
            read(body)


def test_answers_to_other_questions() -> None:
    for body in (b'{"allow":true}', b'{"message":1}', b'{"swallow":true}'):
        with pytest.raises(BadAnswerError):
            answers.connect(body)
    for body in (b'{"user":null}', b'{"message":1}', b'{"swallow":true}'):
        with pytest.raises(BadAnswerError):
            answers.join(body)
    for body in (b'{"user":null}', b'{"swallow":false}', b'{"swallow":1}'):
        with pytest.raises(BadAnswerError):
            answers.message(SENT, body)


@pytest.mark.parametrize(
    "user",
    [
        b"{}",
        b'{"user_id":null}',
        b'{"user_id":true}',
        b'{"user_id":"a","groups":"team"}',
        b'{"user_id":"a","groups":[1]}',
        b'{"user_id":"a","private":1}',
        b'{"user_id":"a","expires":"soon"}',
        b'{"user_id":"a","role":"server"}',
        b'{"user_id":"a","data":"' + b"x" * MAX_DATA + b'"}',
    ],
)
def test_users_that_are_none(user: bytes) -> None:
    with pytest.raises(BadAnswerError):
        answers.connect(b'{"user":' + user + b"}")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for read in (answers.connect, answers.join, lambda each: answers.message(SENT, each)):
        with pytest.raises((BadAnswerError, Deny)):
            read(body)
