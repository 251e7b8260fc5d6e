"""Tokens good and hostile, guests, and the tokens that we make ourselves. Time stands still at `NOW`."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.authenticator import Authenticator, make_token
from hubbub.auth.claims import MAX_PATTERN, MAX_PATTERNS
from hubbub.auth.identity import Identity
from hubbub.auth.token_format import MAX_TOKEN
from hubbub.errors import CommandError, ErrorCode, SettingsError
from hubbub.settings import Settings
from support.key_server import (
    NOW,
    SECRET,
    KeyServer,
    base64url,
    compact,
    key_set,
    private_key,
    public_jwk,
    signed,
    to_jwk,
)

CANARY = "canary-in-the-token"
HEADER = {"alg": "HS256", "typ": "JWT"}
CLAIMS = {"sub": CANARY, "exp": NOW + 60, "iss": "issuer", "aud": "audience"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def authenticator(**options: Any) -> Authenticator:
    return Authenticator(Settings(**{"secret": SECRET, **options}), unix_time=lambda: NOW)


def check(claims: Any, **options: Any) -> Identity:
    """Return the identity that a well signed token with these claims gives."""
    identity = authenticator(**options).check(compact(HEADER, claims))
    assert identity is not None
    return identity


def refusal(claims: Any, **options: Any) -> str:
    """Return why a well signed token with these claims is refused."""
    with pytest.raises(CommandError) as caught:
        check(claims, **options)
    assert caught.value.code is ErrorCode.UNAUTHORIZED
    return caught.value.message


# --- tokens that are accepted


def test_the_least_token() -> None:
    assert check({"sub": "alice", "exp": NOW + 60}) == Identity("alice", None, False, NOW + 60)


def test_everything_that_a_token_can_say() -> None:
    claims = {**CLAIMS, "iat": NOW, "nbf": NOW - 1.5, "groups": ["a*", ""], "role": "server", "jti": {"x": [1]}}
    identity = check(claims, issuer="issuer", audience="audience")
    assert identity == Identity(CANARY, ("a*", ""), True, NOW + 60)


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "x5t", "cty", "typ", "kid"])
def test_headers_that_say_nothing_to_us_are_passed_over(name: str) -> None:
    token = compact({"alg": "HS256", name: "http://attacker.example"}, CLAIMS)
    assert authenticator().check(token) is not None


@pytest.mark.parametrize("aud", ["here", ["here"], ["there", "here"]])
def test_audience_as_text_or_list(aud: Any) -> None:
    assert check({**CLAIMS, "aud": aud}, audience="here").user_id == CANARY


@pytest.mark.parametrize("claims", [{}, {"iss": 7, "aud": 7}])
def test_issuer_and_audience_do_not_matter_unless_configured(claims: dict[str, Any]) -> None:
    assert check({"sub": "alice", "exp": NOW + 60, **claims}).user_id == "alice"


@pytest.mark.parametrize("role", [None, True, 1, "Server", "server ", "admin", ["server"], {"server": True}])
def test_only_the_exact_role_gives_a_servers_rights(role: Any) -> None:
    assert not check({**CLAIMS, "role": role}).server


@pytest.mark.parametrize(("groups", "expected"), [(None, None), ([], ()), (["*"], ("*",))])
def test_groups(groups: Any, expected: Any) -> None:
    assert check({**CLAIMS, "groups": groups}).groups == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Ada Lovelace", "Ada Lovelace"), ("x" * 300, "x" * 256), ("", None), (7, None), (None, None), ("\ud800", None)],
)
def test_a_name_gives_no_rights_and_is_never_wrong(name: Any, expected: str | None) -> None:
    assert check({**CLAIMS, "name": name}) == Identity(CANARY, None, False, NOW + 60, expected)


def test_limits_are_inclusive() -> None:
    assert check({**CLAIMS, "sub": "ü" * 256}).user_id == "ü" * 256
    assert len(check({**CLAIMS, "groups": ["*"] * MAX_PATTERNS}).groups or ()) == MAX_PATTERNS
    assert check({**CLAIMS, "groups": ["*" * MAX_PATTERN]}).groups == ("*" * MAX_PATTERN,)
    assert refusal({**CLAIMS, "sub": "abc"}, max_user_id=2) == 'The token\'s "sub" may have at most 2 characters.'


@pytest.mark.parametrize("leeway", [0, 10])
def test_leeway_is_exact(leeway: float) -> None:
    good, bad = 0.001, -0.001
    assert check({"sub": "a", "exp": NOW - leeway + good}, leeway=leeway).expires == NOW - leeway + good
    assert refusal({"sub": "a", "exp": NOW - leeway}, leeway=leeway) == "The token has expired: connect with a new one."
    for name in ("nbf", "iat"):
        check({**CLAIMS, name: NOW + leeway}, leeway=leeway)
        assert f'"{name}"' in refusal({**CLAIMS, name: NOW + leeway - bad}, leeway=leeway)


def test_the_length_limit_is_inclusive() -> None:
    bare = len(compact(HEADER, {**CLAIMS, "pad": ""}))
    token = compact(HEADER, {**CLAIMS, "pad": "x" * ((MAX_TOKEN - bare) * 3 // 4)})
    assert MAX_TOKEN - 2 <= len(token) <= MAX_TOKEN
    assert authenticator().check(token) is not None


@given(
    user_id=TEXT.filter(bool),
    groups=st.none() | st.lists(TEXT, max_size=5),
    server=st.booleans(),
    ttl=st.integers(1, 10**6),
)
def test_tokens_we_make_are_read_by_us_and_by_pyjwt(
    user_id: str, groups: list[str] | None, server: bool, ttl: int
) -> None:
    token = make_token(
        user_id, SECRET, ttl=ttl, groups=groups, server=server, invisible=server, issuer="i", audience="a", now=NOW
    )
    settings = Settings(secret=SECRET, issuer="i", audience="a")
    expected = Identity(user_id, None if groups is None else tuple(groups), server, NOW + ttl, invisible=server)
    assert Authenticator(settings, unix_time=lambda: NOW).check(token) == expected
    theirs = jwt.decode(token, SECRET, ["HS256"], {"verify_exp": False, "verify_iat": False}, audience="a", issuer="i")
    assert (theirs["sub"], theirs["exp"], theirs["iat"]) == (user_id, NOW + ttl, NOW)


def test_made_for_the_present_unless_told_otherwise() -> None:
    assert Authenticator(Settings(secret=SECRET)).check(make_token("alice", SECRET)) is not None
    with pytest.raises(CommandError, match="expired"):
        Authenticator(Settings(secret=SECRET)).check(make_token("alice", SECRET, ttl=-11))


def test_the_example_of_rfc_7515() -> None:
    """Appendix A.1: the signature is right, so what is missing is said: the claims have no ``sub``."""
    token = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    auth = Authenticator(Settings(secret=SECRET), unix_time=lambda: 1_300_819_379)
    auth._secret = jwt.utils.base64url_decode(key)  # not text, so no setting can hold it
    with pytest.raises(CommandError, match='"sub"'):
        auth.check(token)


# --- tokens that are refused

GOOD = compact(HEADER, CLAIMS)
HEAD, BODY, SIGNATURE = GOOD.split(".")
RAW_HEADER = json.dumps(HEADER).encode()


def with_claims(**changes: Any) -> str:
    return compact(HEADER, {**CLAIMS, **changes})


def without(name: str) -> str:
    return compact(HEADER, {key: value for key, value in CLAIMS.items() if key != name})


def with_raw(name: str, value: str) -> str:
    """Return a token whose claim `name` is this JSON text, which Python's encoder might not write."""
    rest = json.dumps({key: kept for key, kept in CLAIMS.items() if key != name})
    return compact(HEADER, f'{{"{name}": {value}, {rest[1:]}'.encode())


def with_header(**changes: Any) -> str:
    return compact({**HEADER, **changes}, CLAIMS)


def unsigned(alg: Any) -> str:
    header = base64url(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    return f"{header}.{BODY}."


def hmac_with(digest: str, alg: str) -> str:
    signed_part = f"{base64url(json.dumps({'alg': alg}).encode())}.{BODY}"
    return f"{signed_part}.{base64url(hmac.digest(SECRET.encode(), signed_part.encode(), digest))}"


def asymmetric(alg: str, kid: str | None, **changes: Any) -> str:
    return signed(alg, kid, **{**CLAIMS, **changes})


def forged_header(token: str, **header: Any) -> str:
    """Return `token` with another header but the same signature bytes."""
    _, payload, signature = token.split(".")
    return f"{base64url(json.dumps(header).encode())}.{payload}.{signature}"


def signed_by(kind: str, alg: str, kid: str, *, der: bool = False, **header: Any) -> str:
    """Return a token signed by a key of one kind whose header names another algorithm or key."""
    part = base64url(json.dumps({"alg": alg, "kid": kid, **header}).encode()) + "." + BODY
    key = private_key(kind)
    if kind == "RS256":
        signature = key.sign(part.encode(), padding.PKCS1v15(), SHA256())
    elif kind == "EdDSA":
        signature = key.sign(part.encode())
    else:
        algorithm = jwt.algorithms.ECAlgorithm(SHA256)
        signature = algorithm.sign(part.encode(), key)
        if der:
            signature = jwt.utils.raw_to_der_signature(signature, key.curve)
    return f"{part}.{base64url(signature)}"


def spki(kind: str, encoding: Encoding) -> bytes:
    return private_key(kind).public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def confused(secret: bytes, kid: str = "rsa") -> str:
    """Return a token whose HMAC secret is something public."""
    return compact({"alg": "HS256", "kid": kid}, CLAIMS, secret)


def last_bits_changed() -> str:
    """Return the good token with padding bits that a lax decoder ignores."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return GOOD[:-1] + alphabet[alphabet.index(GOOD[-1]) + 1]  # 32 bytes leave two bits unused


ATTACKER = public_jwk("ES256", "ec", number=9)

HOSTILE: dict[str, str] = {
    # not a token at all
    "empty": "",
    "a word": "token",
    "white space": " \n",
    "one dot": f"{HEAD}.{BODY}",
    "only dots": "..",
    "no header": f".{BODY}.{SIGNATURE}",
    "no payload": f"{HEAD}..{SIGNATURE}",
    "no signature": f"{HEAD}.{BODY}.",
    "an extra dot": GOOD + ".",
    "a leading dot": "." + GOOD,
    "four parts": f"{GOOD}.{SIGNATURE}",
    "five parts, as an encrypted token": f"{HEAD}.{BODY}.{BODY}.{BODY}.{SIGNATURE}",
    "huge": GOOD + "A" * MAX_TOKEN,
    "huge, well signed": with_claims(pad="x" * MAX_TOKEN),
    "a bearer prefix": f"Bearer {GOOD}",
    "the JSON form of RFC 7515": json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}),
    # the spelling of base64url
    "a trailing newline": GOOD + "\n",
    "a leading space": " " + GOOD,
    "a NUL at the end": GOOD + "\0",
    "a NUL inside": f"{HEAD}.{BODY[:5]}\0{BODY[5:]}.{SIGNATURE}",
    "padding": GOOD + "=",
    "padding in the header": f"{HEAD}==.{BODY}.{SIGNATURE}",
    "a character outside the alphabet": f"{HEAD}.{BODY[:4]}!{BODY[4:]}.{SIGNATURE}",
    "a percent escape": f"{HEAD}%2E{BODY}.{SIGNATURE}",
    "the other base64 alphabet": compact(HEADER, {**CLAIMS, "x": "\u00bf\u00ff?>"}).replace("-", "+").replace("_", "/")
    + "+",
    "not ASCII": f"{HEAD}.{BODY}ü.{SIGNATURE}",
    "full width letters": "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in GOOD),
    "a lone surrogate": GOOD + "\ud800",
    "padding bits": last_bits_changed(),
    # the signature
    "a wrong signature": GOOD[:-8] + ("A" * 8 if GOOD[-8:] != "A" * 8 else "B" * 8),
    "a short signature": GOOD[:-4],
    "another secret": compact(HEADER, CLAIMS, "another secret that is long enough, too"),
    "an empty secret": compact(HEADER, CLAIMS, ""),
    "the signature of other claims": f"{HEAD}.{BODY}.{with_claims(sub='bob').split('.')[2]}",
    "other claims under the signature": f"{HEAD}.{with_claims(sub='bob').split('.')[1]}.{SIGNATURE}",
    "a plain hash": f"{HEAD}.{BODY}.{base64url(hashlib.sha256(f'{HEAD}.{BODY}'.encode()).digest())}",
    # alg
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg NONE": unsigned("NONE"),
    "alg nOnE": unsigned("nOnE"),
    "alg none with a signature": with_header(alg="none"),
    "alg empty": with_header(alg=""),
    "alg null": with_header(alg=None),
    "alg a list": with_header(alg=["HS256"]),
    "alg a number": with_header(alg=256),
    "alg in lower case": with_header(alg="hs256"),
    "alg with a NUL": with_header(alg="HS256\0"),
    "no alg": compact({"typ": "JWT"}, CLAIMS),
    "HS384": hmac_with("sha384", "HS384"),
    "HS512": hmac_with("sha512", "HS512"),
    "HS512 called HS256": hmac_with("sha512", "HS256"),
    # the header
    "header not JSON": compact(b"{", CLAIMS),
    "header a list": compact([HEADER], CLAIMS),
    "header a text": compact("HS256", CLAIMS),
    "header not UTF-8": compact(b'{"alg":"HS256","x":"\xff"}', CLAIMS),
    "header with a byte order mark": compact(b"\xef\xbb\xbf" + RAW_HEADER, CLAIMS),
    "header in UTF-16": compact(json.dumps(HEADER).encode("utf-16"), CLAIMS),
    "header with alg twice": compact(b'{"alg":"none","alg":"HS256"}', CLAIMS),
    "header nested deep": compact(b"[" * 5000, CLAIMS),
    "crit unknown": with_header(crit=["exp"], exp=1),
    "crit empty": with_header(crit=[]),
    "crit null": with_header(crit=None),
    "crit b64": with_header(crit=["b64"], b64=True),
    "b64 false": with_header(b64=False, crit=["b64"]),
    "b64 false without crit": with_header(b64=False),
    "kid a number": with_header(kid=1),
    "kid a list": with_header(kid=["rsa"]),
    # the claims as a whole
    "claims not JSON": compact(HEADER, b"{"),
    "claims a list": compact(HEADER, [CLAIMS]),
    "claims null": compact(HEADER, None),
    "claims a text": compact(HEADER, "sub"),
    "claims empty": compact(HEADER, {}),
    "claims not UTF-8": compact(HEADER, json.dumps(CLAIMS).replace(CANARY, "ü").encode("latin-1") + b"\xff"),
    "claims with a NUL after them": compact(HEADER, json.dumps(CLAIMS).encode() + b"\0"),
    "claims twice": compact(HEADER, json.dumps(CLAIMS).encode() * 2),
    "claims nested deep": compact(HEADER, b"[" * 5000),
    "sub twice": compact(HEADER, b'{"sub":"bob",' + json.dumps(CLAIMS).encode()[1:]),
    "exp twice": compact(HEADER, b'{"exp":1,' + json.dumps(CLAIMS).encode()[1:]),
    "a name twice deep inside": with_raw("x", '[{"a": 1, "a": 1}]'),
    "a number of 5,000 digits": with_raw("x", "9" * 5000),
    "NaN in a claim of no interest": with_raw("x", "NaN"),
    # exp, nbf, iat
    "exp missing": without("exp"),
    "exp null": with_claims(exp=None),
    "exp a text": with_claims(exp=str(NOW + 60)),
    "exp true": with_claims(exp=True),
    "exp a list": with_claims(exp=[NOW + 60]),
    "exp NaN": with_raw("exp", "NaN"),
    "exp Infinity": with_raw("exp", "Infinity"),
    "exp 1e400": with_raw("exp", "1e400"),
    "exp of 400 digits": with_raw("exp", "9" * 400),
    "exp negative": with_claims(exp=-1),
    "exp minus 1e400": with_raw("exp", "-1e400"),
    "exp zero": with_claims(exp=0),
    "exp past": with_claims(exp=NOW - 60),
    "exp with a space in its name": compact(HEADER, {"sub": CANARY, "exp ": NOW + 60}),
    "nbf in the future": with_claims(nbf=NOW + 60),
    "nbf a text": with_claims(nbf="0"),
    "nbf null": with_claims(nbf=None),
    "nbf NaN": with_raw("nbf", "NaN"),
    "iat in the future": with_claims(iat=NOW + 60),
    "iat true": with_claims(iat=True),
    "iat 1e400": with_raw("iat", "1e400"),
    # sub
    "sub missing": without("sub"),
    "sub null": with_claims(sub=None),
    "sub empty": with_claims(sub=""),
    "sub a number": with_claims(sub=7),
    "sub true": with_claims(sub=True),
    "sub a list": with_claims(sub=[CANARY]),
    "sub an object": with_claims(sub={"id": CANARY}),
    "sub too long": with_claims(sub="x" * 257),
    "sub with half a surrogate pair": with_raw("sub", r'"a\ud800"'),
    # iss, aud
    "iss missing": without("iss"),
    "iss another": with_claims(iss="issuer2"),
    "iss longer": with_claims(iss="issuer.attacker.example"),
    "iss a list": with_claims(iss=["issuer"]),
    "iss null": with_claims(iss=None),
    "aud missing": without("aud"),
    "aud another": with_claims(aud="other"),
    "aud a list of others": with_claims(aud=["other", "audience2"]),
    "aud an empty list": with_claims(aud=[]),
    "aud a list with a number": with_claims(aud=["audience", 1]),
    "aud a list in a list": with_claims(aud=[["audience"]]),
    "aud an object": with_claims(aud={"audience": True}),
    # groups
    "groups a text": with_claims(groups="*"),
    "groups an object": with_claims(groups={"*": True}),
    "groups false": with_claims(groups=False),
    "groups with a number": with_claims(groups=["a", 1]),
    "groups with null": with_claims(groups=[None]),
    "groups with a list": with_claims(groups=[["*"]]),
    "too many groups": with_claims(groups=["a"] * (MAX_PATTERNS + 1)),
    "a pattern too long": with_claims(groups=["a" * (MAX_PATTERN + 1)]),
    "a pattern with half a surrogate pair": with_raw("groups", r'["\udfff"]'),
    # keys of the set: the algorithm must fit, and the token brings no key along
    "HS256 with the RSA key as PEM": confused(spki("RS256", Encoding.PEM)),
    "HS256 with the RSA key as PEM without its newline": confused(spki("RS256", Encoding.PEM).strip()),
    "HS256 with the RSA key as DER": confused(spki("RS256", Encoding.DER)),
    "HS256 with the EC key as PEM": confused(spki("ES256", Encoding.PEM), "ec"),
    "HS256 with the key as JWK": confused(json.dumps(public_jwk("RS256", "rsa")).encode()),
    "HS256 with the Ed25519 key's bytes": confused(private_key("EdDSA").public_key().public_bytes_raw(), "ed"),
    "RS256 with the EC key": signed_by("ES256", "RS256", "ec"),
    "ES256 with the RSA key": signed_by("RS256", "ES256", "rsa"),
    "EdDSA with the RSA key": signed_by("RS256", "EdDSA", "rsa"),
    "RS256 naming the EC key": asymmetric("RS256", "ec"),
    "ES256 naming the Ed25519 key": asymmetric("ES256", "ed"),
    "PS256 by the RSA key": jwt.encode(CLAIMS, private_key("RS256"), "PS256", {"kid": "rsa"}),
    "RS512 by the RSA key": jwt.encode(CLAIMS, private_key("RS256"), "RS512", {"kid": "rsa"}),
    "PS256 called RS256": forged_header(
        jwt.encode(CLAIMS, private_key("RS256"), "PS256", {"kid": "rsa"}), alg="RS256", kid="rsa"
    ),
    "ES384": jwt.encode(CLAIMS, private_key("ES384"), "ES384", {"kid": "p384"}),
    "ES256 by a P-384 key": signed_by("ES384", "ES256", "ec"),
    "ES256 by the P-384 key of the set": signed_by("ES384", "ES256", "p384"),
    "ES256 by a secp256k1 key": signed_by("ES256K", "ES256", "ec"),
    "ES256 signed in DER": signed_by("ES256", "ES256", "ec", der=True),
    "ES256 with a signature of zeros": f"{asymmetric('ES256', 'ec').rpartition('.')[0]}.{base64url(bytes(64))}",
    "EdDSA with a signature of zeros": f"{asymmetric('EdDSA', 'ed').rpartition('.')[0]}.{base64url(bytes(64))}",
    "RS256 without a signature": asymmetric("RS256", "rsa").rpartition(".")[0] + ".",
    "ES256 without a signature": asymmetric("ES256", "ec").rpartition(".")[0] + ".",
    "EdDSA without a signature": asymmetric("EdDSA", "ed").rpartition(".")[0] + ".",
    "a key for encryption": asymmetric("RS256", "enc"),
    "jwk of the attacker": jwt.encode(CLAIMS, private_key("ES256", 9), "ES256", {"kid": "ec", "jwk": ATTACKER}),
    "jwk of the attacker without kid": jwt.encode(CLAIMS, private_key("ES256", 9), "ES256", {"jwk": ATTACKER}),
    "jku of the attacker": jwt.encode(
        CLAIMS, private_key("ES256", 9), "ES256", {"kid": "x", "jku": "http://127.0.0.1:9/"}
    ),
    "x5u of the attacker": jwt.encode(
        CLAIMS, private_key("ES256", 9), "ES256", {"kid": "x", "x5u": "file:///etc/passwd"}
    ),
    "x5c of the attacker": jwt.encode(CLAIMS, private_key("ES256", 9), "ES256", {"kid": "ec", "x5c": ["AAAA"]}),
    "kid a path": asymmetric("ES256", "../../../../dev/null"),
    "kid a path, signed with nothing": compact({"alg": "HS256", "kid": "/dev/null"}, CLAIMS, b""),
    "kid SQL": asymmetric("ES256", "' UNION SELECT 'ec' --"),
    "kid with a NUL": asymmetric("ES256", "ec\0"),
    "kid in upper case": asymmetric("ES256", "EC"),
    "kid empty": asymmetric("ES256", ""),
    "kid unknown": asymmetric("ES256", CANARY),
    "no kid": asymmetric("ES256", None),
    "expired, from the key set": asymmetric("EdDSA", "ed", exp=NOW - 60),
    "another audience, from the key set": asymmetric("RS256", "rsa", aud="other"),
}


@pytest.fixture(scope="module")
def key_server() -> Iterator[KeyServer]:
    document = key_set(
        public_jwk("RS256", "rsa"),
        public_jwk("ES256", "ec"),
        public_jwk("EdDSA", "ed"),
        public_jwk("ES384", "p384"),
        to_jwk(private_key("RS256").public_key(), kid="enc", use="enc"),
    )
    with KeyServer(document) as server:
        yield server


@pytest.fixture(params=["secret", "key set", "both"])
def strict(request: pytest.FixtureRequest, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    """An authenticator that checks everything there is to check."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    secret = None if request.param == "key set" else SECRET
    url = None if request.param == "secret" else key_server.url
    settings = Settings(secret=secret, jwks_url=url, issuer="issuer", audience="audience")
    return Authenticator(settings, unix_time=lambda: NOW)


async def test_the_good_twins_of_the_hostile_tokens_are_accepted(strict: Authenticator) -> None:
    """Otherwise the table below would prove nothing."""
    tokens = [asymmetric("RS256", "rsa"), asymmetric("ES256", "ec"), asymmetric("EdDSA", "ed")] * strict.waits
    tokens += [GOOD] * (strict._secret is not None)
    for token in tokens:
        assert (await strict.authenticate(token)).user_id == CANARY


@pytest.mark.parametrize("token", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_tokens(strict: Authenticator, token: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(CommandError) as caught:
        await strict.authenticate(token)
    error = caught.value
    assert error.code is ErrorCode.UNAUTHORIZED
    assert error.message.endswith(".")
    for secret in (CANARY, *(part for part in token.split(".") if len(part) > 8)):
        assert secret not in f"{error} {error!r} {caplog.text}"


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"exp": NOW - 60}, "The token has expired: connect with a new one."),
        ({"exp": "soon"}, 'The token needs "exp" as a number of seconds.'),
        ({"sub": 7}, 'The token needs "sub" as text.'),
        ({"nbf": NOW + 60}, 'The token is not valid yet: check "nbf" and the clocks.'),
        ({"iat": NOW + 60}, 'The token was issued in the future: check "iat" and the clocks.'),
        ({"iss": "x"}, 'The token\'s "iss" must be the issuer that this server is configured with.'),
        ({"aud": "x"}, 'The token\'s "aud" must name the audience that this server is configured with.'),
        ({"groups": "*"}, 'The token\'s "groups" must be a list of texts.'),
        ({"private": "no"}, 'The token\'s "private" must be true or false.'),
        ({"invisible": 1}, 'The token\'s "invisible" must be true or false.'),
    ],
)
def test_errors_name_the_claim(claims: dict[str, Any], text: str) -> None:
    assert refusal({**CLAIMS, **claims}, issuer="issuer", audience="audience") == text


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_no_character_of_a_token_can_be_changed(position: int, character: str) -> None:
    token = GOOD[:position] + character + GOOD[position + 1 :]
    if token != GOOD:
        with pytest.raises(CommandError):
            authenticator().check(token)


ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.just("\ud800")
)  # half a surrogate pair, and never the other half
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
EXP = JSON | st.floats(NOW - 20, NOW + 20) | st.integers(int(NOW) - 20, int(NOW) + 20)


@given(
    sub=ANY_TEXT | JSON,
    exp=st.floats(NOW, NOW + 1) | EXP,
    groups=st.none() | st.lists(ANY_TEXT, max_size=3) | JSON,
)
def test_whatever_the_claims_are_there_is_one_answer(sub: Any, exp: Any, groups: Any) -> None:
    acceptable = (
        isinstance(sub, str)
        and 0 < len(sub) <= 256
        and "\ud800" not in sub
        and type(exp) in (int, float)
        and NOW - 10 < exp < 1e308
        and (groups is None or (isinstance(groups, list) and all(type(item) is str for item in groups)))
        and not any("\ud800" in pattern for pattern in groups or ())
    )
    claims = {"sub": sub, "exp": exp, "groups": groups}
    if acceptable:
        assert check(claims).user_id == sub
    else:
        assert refusal(claims)


@given(st.text())
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(CommandError):
        authenticator().check(text)


# --- without keys, with bad keys


async def test_a_server_without_keys_takes_no_tokens() -> None:
    auth = Authenticator(Settings())
    assert auth.ready
    assert not auth.waits
    with pytest.raises(CommandError, match="accepts no tokens"):
        await auth.authenticate(GOOD)


async def test_with_a_secret_start_and_close_have_nothing_to_do() -> None:
    auth = authenticator()
    await auth.start()
    assert auth.ready
    await auth.close()


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_a_public_key_is_no_secret(kind: str) -> None:
    with pytest.raises(SettingsError, match="public key"):
        authenticator(secret=spki(kind, Encoding.PEM).decode())


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_no_token_is_made_with_a_short_secret(secret: str) -> None:
    with pytest.raises(SettingsError, match="32 bytes"):
        make_token("alice", secret)


# --- guests


@pytest.mark.parametrize("name", ["a", "Ada Lovelace", "Zoë 🎈", "x" * 256, " a ", "<b>"])
def test_guests(name: str) -> None:
    assert Authenticator(Settings()).guest(name) == Identity(name)


@pytest.mark.parametrize("name", ["", "x" * 257, " ", "\u3000", "a\nb", "a\0", "\x7f", "a\x85", "\ud83d"])
def test_bad_guest_names(name: str) -> None:
    with pytest.raises(CommandError) as caught:
        Authenticator(Settings()).guest(name)
    assert caught.value.code is ErrorCode.INVALID_PARAMETER
    assert '"guest"' in caught.value.message
    caught.value.message.encode()


@pytest.mark.parametrize("options", [{"guests": False}, {"secret": SECRET}, {"jwks_url": "https://keys.example"}])
def test_guests_are_not_accepted(options: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as caught:
        Authenticator(Settings(**options)).guest("alice")
    assert caught.value.code is ErrorCode.FORBIDDEN
