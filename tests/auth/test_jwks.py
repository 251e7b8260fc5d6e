"""Key sets over real HTTP with real signatures: every algorithm, rotation, outage, slowness, garbage."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.error import HTTPError

import pytest

from hubbub.auth.authenticator import Authenticator, make_token
from hubbub.auth.jwks import COOLDOWN, MAX_SET, Jwks, fetch_keys, parse_keys
from hubbub.errors import CommandError, ErrorCode
from hubbub.settings import Settings
from support.key_server import NOW, SECRET, KeyServer, key_set, private_key, public_jwk, signed, to_jwk

KINDS = ["RS256", "ES256", "EdDSA"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer(key_set(*(public_jwk(kind, f"key-{kind}") for kind in KINDS))) as server:
        yield server


class Clock:
    """A clock that stands still until it is told the time."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@asynccontextmanager
async def authenticator(url: str, clock: Callable[[], float] = Clock(), **options: Any) -> AsyncIterator[Authenticator]:  # noqa: B008
    auth = Authenticator(Settings(jwks_url=url, **options), unix_time=lambda: NOW, clock=clock)
    try:
        yield auth
    finally:
        await auth.close()


async def refused(auth: Authenticator, token: str) -> ErrorCode:
    with pytest.raises(CommandError) as caught:
        await auth.authenticate(token)
    return caught.value.code


@pytest.mark.parametrize("kind", KINDS)
async def test_every_algorithm(server: KeyServer, kind: str) -> None:
    async with authenticator(server.url) as auth:
        token = signed(kind, f"key-{kind}", groups=["a*"], role="server")
        assert auth.waits
        assert auth.check(token) is None  # no keys yet
        identity = await auth.authenticate(token)
        assert identity.user_id == "alice"
        assert identity.groups == ("a*",)
        assert identity.server
        assert identity.expires == NOW + 60
        assert auth.check(token) == identity  # now from the cache
        assert server.requests == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_signature_of_another_key_is_refused(server: KeyServer, kind: str) -> None:
    async with authenticator(server.url) as auth:
        assert await refused(auth, signed(kind, f"key-{kind}", number=1)) is ErrorCode.UNAUTHORIZED


async def test_claims_are_checked_as_with_a_secret(server: KeyServer) -> None:
    async with authenticator(server.url) as auth:
        assert await refused(auth, signed("ES256", "key-ES256", exp=NOW - 60)) is ErrorCode.UNAUTHORIZED


async def test_with_a_secret_too_hs256_goes_to_the_secret(server: KeyServer) -> None:
    async with authenticator(server.url, secret=SECRET) as auth:
        identity = auth.check(make_token("bob", SECRET, now=NOW))
        assert identity is not None
        assert identity.user_id == "bob"
        assert server.requests == 0
        assert (await auth.authenticate(signed("EdDSA", "key-EdDSA"))).user_id == "alice"


async def test_without_a_secret_hs256_is_refused(server: KeyServer) -> None:
    async with authenticator(server.url) as auth:
        assert await refused(auth, make_token("bob", SECRET, now=NOW)) is ErrorCode.UNAUTHORIZED
        assert server.requests == 0


async def test_a_key_that_was_rotated_in_is_found_at_once(server: KeyServer) -> None:
    clock = Clock()
    async with authenticator(server.url, clock) as auth:
        await auth.authenticate(signed("ES256", "key-ES256"))
        server.body = key_set(public_jwk("ES256", "new", number=1))
        clock.time += COOLDOWN
        await auth.authenticate(signed("ES256", "new", number=1))
        assert await refused(auth, signed("ES256", "key-ES256")) is ErrorCode.UNAUTHORIZED  # and the old one is gone


async def test_unknown_key_ids_cause_one_fetch_per_cooldown(server: KeyServer) -> None:
    clock = Clock()
    async with authenticator(server.url, clock) as auth:
        for number in range(50):
            assert await refused(auth, signed("EdDSA", f"made up {number}")) is ErrorCode.UNAUTHORIZED
        assert server.requests == 1
        clock.time += COOLDOWN - 0.01
        await refused(auth, signed("EdDSA", "made up"))
        assert server.requests == 1
        clock.time += 0.01
        await refused(auth, signed("EdDSA", "made up"))
        assert server.requests == 2


async def test_callers_share_one_fetch_and_the_loop_goes_on(server: KeyServer) -> None:
    server.gate.clear()
    async with authenticator(server.url, secret=SECRET) as auth:
        token = signed("EdDSA", "key-EdDSA")
        callers = [asyncio.create_task(auth.authenticate(token)) for _ in range(20)]
        await asyncio.to_thread(server.wait_for_requests, 1)
        callers[0].cancel()  # who gives up takes nobody along
        server.gate.set()
        answers = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert [identity.user_id for identity in answers[1:]] == ["alice"] * 19  # type: ignore[union-attr]
        assert server.requests == 1


async def test_start_does_not_wait_and_fetches(server: KeyServer) -> None:
    server.gate.clear()
    async with authenticator(server.url) as auth:
        await auth.start()
        assert not auth.ready
        await asyncio.to_thread(server.wait_for_requests, 1)
        server.gate.set()
        await auth.authenticate(signed("RS256", "key-RS256"))  # joins the fetch that start began
        assert auth.ready
        assert server.requests == 1


async def test_start_survives_a_dead_key_server(caplog: pytest.LogCaptureFixture) -> None:
    with KeyServer() as server:
        pass
    async with authenticator(server.url, secret=SECRET) as auth:
        await auth.start()
        assert await refused(auth, signed("RS256", "key-RS256")) is ErrorCode.UNAVAILABLE
        assert not auth.ready
        assert auth.check(make_token("bob", SECRET, now=NOW)) is not None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "/keys" in caplog.text
    assert "hidden" not in caplog.text


async def test_old_keys_go_on_during_an_outage(server: KeyServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    async with authenticator(server.url, clock) as auth:
        old = signed("ES256", "key-ES256")
        await auth.authenticate(old)
        server.status = 503
        for _ in range(3):
            clock.time += 3600
            assert await refused(auth, signed("ES256", "new")) is ErrorCode.UNAVAILABLE
            assert auth.check(old) is not None
            assert auth.ready
        server.status = 200
        assert await refused(auth, signed("ES256", "new")) is ErrorCode.UNAVAILABLE  # within the cooldown
        clock.time += COOLDOWN
        assert await refused(auth, signed("ES256", "new")) is ErrorCode.UNAUTHORIZED
    levels = [record.levelname for record in caplog.records if record.name == "hubbub.auth.jwks"]
    assert levels == ["INFO", "WARNING", "INFO"]  # an outage is said once


async def test_keys_are_renewed_in_the_background(server: KeyServer) -> None:
    jwks = Jwks(server.url, refresh=0.001)
    jwks.start()
    try:
        await asyncio.to_thread(server.wait_for_requests, 2)
        server.body = key_set(public_jwk("ES256", "new"))
        # Requests come one after the other: the next may still carry the old body, the one after it does not,
        # and has been taken in when yet another comes.
        await asyncio.to_thread(server.wait_for_requests, server.requests + 3)
        assert jwks.find("new", "ES256") is not None
        assert jwks.find("key-ES256", "ES256") is None
    finally:
        await jwks.close()


async def test_the_background_tries_again_after_a_failure(server: KeyServer) -> None:
    server.status = 500
    jwks = Jwks(server.url, cooldown=0.001)
    jwks.start()
    try:
        await asyncio.to_thread(server.wait_for_requests, 3)
        assert not jwks.ready
    finally:
        await jwks.close()


async def test_close_ends_a_fetch_that_hangs(server: KeyServer) -> None:
    server.gate.clear()
    jwks = Jwks(server.url)
    jwks.start()
    await asyncio.to_thread(server.wait_for_requests, 1)
    await jwks.close()
    assert len(asyncio.all_tasks()) == 1
    server.gate.set()


async def test_a_server_that_does_not_answer_in_time(server: KeyServer) -> None:
    server.gate.clear()
    jwks = Jwks(server.url, timeout=0.05)
    with pytest.raises(CommandError) as caught:
        await jwks.renew()
    assert caught.value.code is ErrorCode.UNAVAILABLE
    server.gate.set()
    await jwks.close()


@pytest.fixture
def dripping(server: KeyServer) -> Iterator[KeyServer]:
    """A server whose drip ends after a while: a time limit that is broken shows as a red test, not as a hang."""
    stop = threading.Timer(10, lambda: setattr(server, "drip", ""))
    stop.start()
    yield server
    stop.cancel()
    server.drip = ""


def test_a_body_that_drips_ends_the_thread(dripping: KeyServer) -> None:
    dripping.drip = "body"
    with pytest.raises(TimeoutError):
        fetch_keys(dripping.url, 0.3)


async def test_a_head_that_drips_holds_nobody_up(dripping: KeyServer) -> None:
    dripping.drip = "head"
    with pytest.raises(CommandError) as caught:
        await Jwks(dripping.url, timeout=0.3).renew()
    assert caught.value.code is ErrorCode.UNAVAILABLE
    assert dripping.drip  # it did not wait for the end
    dripping.drip = ""  # lets the thread go, which the loop waits for


def test_an_error_answer_is_closed(server: KeyServer) -> None:
    server.status = 503
    with pytest.raises(HTTPError) as caught:
        fetch_keys(server.url, 5)
    assert caught.value.closed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [null, 1, "key", []]}',
        b"[" * 100_000,
        b'{"keys": [' + b"9" * 10_000 + b"]}",
        key_set(public_jwk("ES384", "a")),
        key_set(public_jwk("ES256", "a", use="enc")),
        b" " * MAX_SET + key_set(public_jwk("ES256", "a")),
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_garbage_is_an_outage_and_keeps_the_old_keys(server: KeyServer, body: bytes) -> None:
    clock = Clock()
    async with authenticator(server.url, clock) as auth:
        old = signed("ES256", "key-ES256")
        await auth.authenticate(old)
        server.body = body
        clock.time += COOLDOWN
        assert await refused(auth, signed("ES256", "new")) is ErrorCode.UNAVAILABLE
        assert auth.check(old) is not None


def test_a_set_of_the_largest_size_is_taken(server: KeyServer) -> None:
    server.body = server.body.ljust(MAX_SET)
    assert len(fetch_keys(server.url, 5)) == 3


@pytest.mark.parametrize("scheme", ["https", "file", "ftp", "data"])
def test_redirects_to_another_scheme_are_not_followed(server: KeyServer, scheme: str) -> None:
    server.location = server.url.replace("http", scheme)
    with pytest.raises(OSError, match=r"(?i)redirect"):
        fetch_keys(server.url.replace("/keys", "/redirect").partition("?")[0], 5)
    assert server.requests == 1


def test_redirects_within_the_scheme_are_followed(server: KeyServer) -> None:
    server.location = server.url
    assert len(fetch_keys(server.url.replace("/keys", "/redirect").partition("?")[0], 5)) == 3


OFF_CURVE = public_jwk("ES256", "bad") | {"y": public_jwk("ES256", "bad", number=1)["y"]}
UNUSABLE = {
    "for encryption": public_jwk("RS256", "bad", use="enc"),
    "for signing only": public_jwk("RS256", "bad", key_ops=["sign"]),
    "key_ops is no list": public_jwk("RS256", "bad", key_ops="verify"),
    "use is a list": public_jwk("RS256", "bad", use=["sig"]),
    "RSA of 1024 bits": public_jwk("RSA-1024", "bad"),
    "RSA for PS256": public_jwk("RS256", "bad", alg="PS256"),
    "RSA for HS256": public_jwk("RS256", "bad", alg="HS256"),
    "RSA for none": public_jwk("RS256", "bad", alg="none"),
    "alg is a list": public_jwk("RS256", "bad", alg=["RS256"]),
    "RSA with exponent 1": public_jwk("RS256", "bad", e="AQ"),
    "RSA without modulus": public_jwk("RS256", "bad") | {"n": ""},
    "RSA with a modulus that is a number": public_jwk("RS256", "bad", n=123),
    "RSA with a modulus of junk": public_jwk("RS256", "bad", n="!!!"),
    "P-384": public_jwk("ES384", "bad"),
    "secp256k1": public_jwk("ES256K", "bad"),
    "P-384 called P-256": public_jwk("ES384", "bad", crv="P-256"),
    "off the curve": OFF_CURVE,
    "EC without y": {name: value for name, value in public_jwk("ES256", "bad").items() if name != "y"},
    "EC with coordinates of junk": public_jwk("ES256", "bad", x={"a": 1}),
    "Ed448": public_jwk("Ed448", "bad"),
    "Ed25519 with too few bytes": public_jwk("EdDSA", "bad", x="AAAA"),
    "oct": {"kty": "oct", "k": "c2VjcmV0", "kid": "bad"},
    "oct called RSA": {"kty": "RSA", "k": "c2VjcmV0", "kid": "bad"},
    "no kty": {"kid": "bad"},
    "kty is a list": {"kty": ["RSA"], "kid": "bad"},
    "kid is a number": public_jwk("RS256", None) | {"kid": 7},
    "not an object": "bad",
}


@pytest.mark.parametrize("bad", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_cannot_be_used_does_not_spoil_the_others(bad: Any) -> None:
    keys = parse_keys(key_set(bad, public_jwk("EdDSA", "good")))
    assert list(keys) == [("good", "EdDSA")]


@pytest.mark.parametrize("members", [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "RS256"}, {"x5c": ["junk"]}])
def test_members_that_fit_are_accepted(members: dict[str, Any]) -> None:
    assert list(parse_keys(key_set(public_jwk("RS256", "a", **members)))) == [("a", "RS256")]


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_private_key_only_the_public_half_is_kept(kind: str) -> None:
    document = key_set(to_jwk(private_key(kind), kid="a", key_ops=None))
    assert '"d"' in document.decode()
    key = parse_keys(document)["a", kind]
    assert key is not None
    assert not hasattr(key.key, "sign")


async def test_a_token_without_kid_means_the_only_key_without_one(server: KeyServer) -> None:
    server.body = key_set(public_jwk("ES256", None), public_jwk("EdDSA", None), public_jwk("ES256", "a", number=1))
    async with authenticator(server.url) as auth:
        await auth.authenticate(signed("ES256", None))
        await auth.authenticate(signed("EdDSA", None))
        assert await refused(auth, signed("ES256", None, number=1)) is ErrorCode.UNAUTHORIZED


async def test_a_token_without_kid_is_refused_if_two_keys_could_be_meant(server: KeyServer) -> None:
    server.body = key_set(public_jwk("ES256", None), public_jwk("ES256", None, number=1))
    async with authenticator(server.url) as auth:
        for number in (0, 1):
            assert await refused(auth, signed("ES256", None, number=number)) is ErrorCode.UNAUTHORIZED


async def test_a_token_with_kid_never_means_a_key_without_one(server: KeyServer) -> None:
    server.body = key_set(public_jwk("ES256", None))
    async with authenticator(server.url) as auth:
        assert await refused(auth, signed("ES256", "a")) is ErrorCode.UNAUTHORIZED


async def test_two_keys_of_different_kinds_may_share_a_kid(server: KeyServer) -> None:
    server.body = key_set(public_jwk("ES256", "a"), public_jwk("RS256", "a"))
    async with authenticator(server.url) as auth:
        await auth.authenticate(signed("ES256", "a"))
        await auth.authenticate(signed("RS256", "a"))


def test_the_keys_of_rfc_8037_and_rfc_7515_are_read() -> None:
    """The examples of RFC 8037, appendix A.2, and RFC 7515, appendix A.3.1."""
    edwards = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    elliptic = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    document = json.dumps({"keys": [edwards, elliptic]}).encode()
    assert set(parse_keys(document)) == {(None, "EdDSA"), (None, "ES256")}
