"""Tickets: good for whom they were made, for a while, and nothing else is."""

from __future__ import annotations

import hmac

import jwt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.auth.authenticator import make_token
from hubbub.auth.bans import TICKET_LIFE
from hubbub.auth.identity import Identity
from hubbub.auth.tickets import LIFE, Tickets
from hubbub.errors import CommandError

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
    identity, use = tickets().check(issued())
    assert identity == ADA
    assert 0 < use.lasts <= TICKET_LIFE
    assert tickets().check(issued())[1].id != use.id


@pytest.mark.parametrize(
    ("identity", "after", "ends"),
    [
        (ADA, 0.0, NOW + LIFE),
        (ADA, 30.0, NOW + 30 + LIFE),
        (ADA, 1000.0, NOW + TICKET_LIFE - 2 * LEEWAY),
        (Identity("ada", expires=NOW + 20), 0.0, NOW + 20),  # no longer than the token
    ],
)
def test_how_long_it_is_good(identity: Identity, after: float, ends: float) -> None:
    ticket = issued(identity, after)
    assert tickets(ends + LEEWAY - 1).check(ticket)[0] == identity
    with pytest.raises(CommandError, match="UNAUTHORIZED: The ticket is not valid or has expired"):
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


@pytest.mark.parametrize("source", [{"issuer": "other"}, {"audience": "other"}, {"issuer": "us"}, {}])
def test_where_other_issuers_or_audiences_are_required_it_is_none(source: dict[str, str]) -> None:
    own = Tickets(LEEWAY, lambda: NOW, issuer="us", audience="here")
    own.use(SECRET)
    ticket = own.issue(ADA, 0.0)
    assert ticket is not None
    assert own.check(ticket)[0] == ADA
    other = Tickets(LEEWAY, lambda: NOW, **source)
    other.use(SECRET)
    with pytest.raises(CommandError, match="UNAUTHORIZED"):
        other.check(ticket)


def test_those_of_older_versions_have_no_id_and_are_refused() -> None:
    key = hmac.digest(SECRET, b"hubbub tickets", "sha256")
    claims = {"identity": msgspec.to_builtins(ADA), "exp": NOW + 60, "iss": "", "aud": ""}
    with pytest.raises(CommandError, match="UNAUTHORIZED"):
        tickets().check(jwt.encode(claims, key, algorithm="HS256"))
    assert tickets().check(jwt.encode({**claims, "jti": "1"}, key, algorithm="HS256"))[0] == ADA


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
