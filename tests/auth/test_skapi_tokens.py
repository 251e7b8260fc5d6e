"""Tokens for skapi-js: what the client wants to see in them, and every way to write a service id."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from hubbub.auth.authenticator import Authenticator
from hubbub.auth.skapi_tokens import make_skapi_tokens, service_id
from hubbub.errors import SettingsError
from hubbub.settings import Settings
from support.clients import SECRET

ADA = "22222222-2222-4222-8222-222222222222"


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, SECRET, ["HS256"], options={"verify_aud": False})


def test_the_server_takes_both_tokens() -> None:
    authenticator = Authenticator(Settings(secret=SECRET, issuer="here", audience="us"))
    made = make_skapi_tokens(
        ADA, SECRET, "ap21mock00000000abcd", name="Ada", groups=["a*"], issuer="here", audience="us"
    )
    for token in (made["idToken"], made["accessToken"]):
        identity = authenticator.check(token)
        assert (identity.user_id, identity.name, identity.groups) == (ADA, "Ada", ("a*",))


def test_what_the_client_reads() -> None:
    made = make_skapi_tokens(ADA, SECRET, "ap21mock00000000abcd", name="Ada", email="ada@example.com", ttl=60)
    said = claims(made["idToken"])
    assert said.pop("exp") - said.pop("iat") in {60, 61}
    assert said == {
        "sub": ADA,
        "name": "Ada",
        "custom:service": "ap21mock00000000abcd",
        "cognito:username": ADA,
        "email": "ada@example.com",
        "email_verified": True,
    }
    assert set(claims(made["accessToken"])) == {"sub", "iat", "exp", "name"}
    assert set(claims(make_skapi_tokens(ADA, SECRET, "abcde")["accessToken"])) == {"sub", "iat", "exp"}
    assert made["refreshToken"]


@pytest.mark.parametrize("user_id", ["alice", "", ADA.upper().replace("2", "A"), ADA + "\n", f"{{{ADA}}}"])
def test_users_are_uuids(user_id: str) -> None:
    with pytest.raises(SettingsError, match="only lower-case UUIDs"):
        make_skapi_tokens(user_id, SECRET, "abcde")


# What the client itself makes of these; the tests with the client log in with them.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ap21mock00000000abcd", "ap21mock00000000abcd"),
        ("mock00000000-6abcd-11111111-1111-4111-8111-111111111111", "ap21mock00000000abcd"),
        ("5ck000000006abcdmo-WCfTonfsFCDyJRADVk41d", "ap21mock00000000abcd"),
        ("Mock00000000-0ABCD-11111111-1111-4111-8111-111111111111", "us31Mock00000000ABCD"),
    ],
)
def test_service_ids(text: str, expected: str) -> None:
    assert service_id(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abcd",
        "a b c d e",
        "-",
        "5-",
        "5ck000000006abcdm-WCfTonfsFCDyJRADVk41d",
        "5ck00000000zabcdmo-WCfTonfsFCDyJRADVk41d",
        "mock00000000-zabcd-11111111-1111-4111-8111-111111111111",
        "mock00000000-6abcd-11111111",
    ],
)
def test_what_is_no_service_id(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a service id"):
        service_id(text)
