"""Signatures as Standard Webhooks defines them, and what the verifier refuses."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import SettingsError
from hubbub.hooks import SignatureError, TimestampError, VerificationError, verify
from hubbub.http_hooks.signing import secret_key, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret of 32 bytes ......").decode()
NOW = 1_614_265_330
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


def headers(body: bytes = BODY, secret: str = SECRET, at: int = NOW) -> dict[str, str]:
    signature = sign(secret_key(secret), ID, at, body)
    return {"webhook-id": ID, "webhook-timestamp": str(at), "webhook-signature": signature}


def test_the_example_of_the_specification() -> None:
    assert sign(secret_key(SECRET), ID, NOW, BODY) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_right_signature() -> None:
    assert verify(BODY, headers(), SECRET, now=NOW) == {"test": 2432232314}
    assert verify(BODY.decode(), headers(), [OTHER, SECRET], now=NOW) == {"test": 2432232314}


def test_names_of_headers_in_any_case() -> None:
    assert verify(BODY, {name.title(): value for name, value in headers().items()}, SECRET, now=NOW)


def test_while_a_secret_is_replaced_there_are_several_signatures() -> None:
    both = headers()
    both["webhook-signature"] = f"v1a,xyz {headers(secret=OTHER)['webhook-signature']} {both['webhook-signature']}"
    assert verify(BODY, both, SECRET, now=NOW)


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301])
def test_old_and_future_requests(at: int) -> None:
    with pytest.raises(TimestampError, match="300 s are allowed"):
        verify(BODY, headers(at=at), SECRET, now=NOW)
    assert verify(BODY, headers(at=at), SECRET, now=NOW, tolerance=302)


@pytest.mark.parametrize("text", ["", "now", "1e9", "-5", "9" * 400, "١٢٣", "1.5", " 5"])
def test_a_timestamp_that_is_none(text: str) -> None:
    with pytest.raises(VerificationError):
        verify(BODY, {**headers(), "webhook-timestamp": text}, SECRET, now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing(name: str) -> None:
    given = headers()
    del given[name]
    with pytest.raises(SignatureError, match=name):
        verify(BODY, given, SECRET, now=NOW)


def test_a_wrong_secret_and_changed_parts() -> None:
    for body, lines, secret in (
        (BODY, headers(), OTHER),
        (BODY + b" ", headers(), SECRET),
        (BODY, {**headers(), "webhook-id": "msg_other"}, SECRET),
        (BODY, {**headers(), "webhook-timestamp": str(NOW + 1)}, SECRET),
        (BODY, {**headers(), "webhook-signature": "v1," + "A" * 43 + "="}, SECRET),
        (BODY, {**headers(), "webhook-signature": "v1,ä"}, SECRET),
        (BODY, {**headers(), "webhook-signature": headers()["webhook-signature"].replace("v1,", "v2,")}, SECRET),
    ):
        with pytest.raises(SignatureError):
            verify(body, lines, secret, now=NOW)


def test_what_is_signed_and_no_json() -> None:
    with pytest.raises(SignatureError, match="JSON"):
        verify(b"<html>", headers(b"<html>"), SECRET, now=NOW)


@pytest.mark.parametrize("secret", ["", "abc", "whsec_", "whsec_!!!", "whsec_QUFB", "whsec_" + "A" * 400, "whsec_ä"])
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(SettingsError, match="openssl rand") as refused:
        secret_key(secret)
    assert not secret or secret == "abc" or secret.removeprefix("whsec_") not in str(refused.value) or len(secret) < 8


@given(st.binary(max_size=50), st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5))
def test_no_input_is_accepted_or_raises_anything_else(body: bytes, noise: dict[str, str]) -> None:
    with pytest.raises(VerificationError):
        verify(body, {**headers(), **noise} if noise else {}, OTHER, now=NOW)
