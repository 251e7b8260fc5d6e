"""Tickets: good for whom they were made, for a while, and nothing else is."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.auth import make_token
from hubbub.errors import CommandError
from hubbub.identity import Identity
from hubbub.tickets import LIFE, Tickets

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_000_000.0
LEEWAY = 10.0
ADA = Identity("ada", ("lobby-*", "news"), server=True, expires=NOW + 3600, name="Ada Lovelace")


def tickets(now: float = NOW, secret: bytes | None = SECRET) -> Tickets:
    made = Tickets(LEEWAY, lambda: now)
    made.use(secret)
    return made


def issued(identity: Identity = ADA, after: float = 0.0) -> str:
    ticket = tickets().issue(identity, after)
    assert ticket is not None
    return ticket


def test_a_ticket_gives_what_the_token_gave() -> None:
    assert tickets().check(issued()) == ADA


@pytest.mark.parametrize(
    ("identity", "after", "ends"),
    [
        (ADA, 0.0, NOW + LIFE),
        (ADA, 30.0, NOW + 30 + LIFE),
        (Identity("ada", expires=NOW + 20), 0.0, NOW + 20),  # no longer than the token
    ],
)
def test_how_long_it_is_good(identity: Identity, after: float, ends: float) -> None:
    ticket = issued(identity, after)
    assert tickets(ends + LEEWAY - 1).check(ticket) == identity
    with pytest.raises(CommandError, match="UNAUTHORIZED: The ticket is not valid, or not any more"):
        tickets(ends + LEEWAY).check(ticket)


def test_guests_and_servers_without_a_key_have_none() -> None:
    assert tickets().issue(Identity("guest"), 0.0) is None
    assert tickets(secret=None).issue(ADA, 0.0) is None
    with pytest.raises(CommandError, match="UNAUTHORIZED"):
        tickets(secret=None).check(issued())


def test_a_token_is_no_ticket_and_a_ticket_of_others_is_none() -> None:
    forged = jwt.encode({"identity": {"user_id": "ada"}, "exp": NOW + 9}, "x" * 32, algorithm="HS256")
    unsigned = jwt.encode({"identity": {"user_id": "ada"}, "exp": NOW + 9}, None, algorithm="none")
    for wrong in (make_token("ada", SECRET.decode(), now=NOW), forged, unsigned, issued()[:-3], "", "a.b.c"):
        with pytest.raises(CommandError, match="UNAUTHORIZED"):
            tickets().check(wrong)


def test_a_header_that_is_nested_too_deep_is_refused() -> None:
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","x":' + b"[" * 50_000 + b"}").decode()
    with pytest.raises(CommandError, match="UNAUTHORIZED"):
        tickets().check(f"{header}.e30.e30")


@given(st.text(), st.text(alphabet="ABCabc012._-"))
@settings(max_examples=200, deadline=None)
def test_garbage_is_refused(anything: str, similar: str) -> None:
    for wrong in (anything, similar, f"{issued()}{similar}x", issued().replace(".", f".{similar}e", 1)):
        with pytest.raises(CommandError, match="UNAUTHORIZED"):
            tickets().check(wrong)
