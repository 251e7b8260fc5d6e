"""Keys of every kind, tokens signed by hand, and a real HTTP server that hands out the public halves."""

from __future__ import annotations

import contextlib
import hmac
import json
import threading
from base64 import urlsafe_b64encode
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SECRET = "a secret of the tests that is long enough"
NOW = 1_700_000_000.0


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """Return a private key; the same one for the same `kind` and `number`."""
    match kind:
        case "RS256":
            return rsa.generate_private_key(65537, 2048)
        case "RSA-1024":
            return rsa.generate_private_key(65537, 1024)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ES256K":
            return ec.generate_private_key(ec.SECP256K1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "Ed448":
            return ed448.Ed448PrivateKey.generate()
    raise ValueError(kind)


def to_jwk(key: Any, **members: Any) -> dict[str, Any]:
    """Return `key`, private or public, as a JSON Web Key with `members` added; those that are None are left out."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(key, as_dict=True)
        del jwk["key_ops"]
    elif isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(key, as_dict=True)
    return {name: value for name, value in {**jwk, **members}.items() if value is not None}


def public_jwk(kind: str, kid: str | None, number: int = 0, **members: Any) -> dict[str, Any]:
    return to_jwk(private_key(kind, number).public_key(), kid=kid, **members)


def key_set(*jwks: Any) -> bytes:
    return json.dumps({"keys": list(jwks)}).encode()


def signed(alg: str, kid: str | None, number: int = 0, **claims: Any) -> str:
    """Return a token for alice that is good at `NOW`, unless `claims` say otherwise."""
    headers = {} if kid is None else {"kid": kid}
    payload = {"sub": "alice", "exp": NOW + 60, **claims}
    return jwt.encode(payload, private_key(alg, number), algorithm=alg, headers=headers)


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def compact(header: Any, payload: Any, secret: str | bytes = SECRET) -> str:
    """Return a token signed with HMAC-SHA256, whatever the header says; bytes go in as they are, the rest as JSON."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = ".".join(map(base64url, parts))
    key = secret if isinstance(secret, bytes) else secret.encode()
    return f"{text}.{base64url(hmac.digest(key, text.encode(), 'sha256'))}"


class KeyServer:
    """A key set behind HTTP, with the ways in which such servers go wrong.

    Attributes:
        body: What it answers.
        status: The status it answers with.
        location: Where it sends everybody who asks for ``/redirect``.
        requests: How many it has seen.
        gate: It answers only while this is set.
        drip: ``"head"`` or ``"body"``: it sends a byte of that every now and then, and never an end.
    """

    def __init__(self, body: bytes = b"") -> None:
        self.body = body
        self.status = 200
        self.location = ""
        self.requests = 0
        self.gate = threading.Event()
        self.gate.set()
        self.drip = ""
        self._seen = threading.Condition()
        self._never = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/keys?key=hidden"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drip = ""
        self.gate.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def wait_for_requests(self, number: int) -> None:
        """Block until so many requests have come; an assertion fails if they do not."""
        with self._seen:
            assert self._seen.wait_for(lambda: self.requests >= number, timeout=20)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with server._seen:
                    server.requests += 1
                    server._seen.notify_all()
                body = server.body
                server.gate.wait(20)
                with contextlib.suppress(ConnectionError):  # the client may not have waited
                    self._answer(body)

            def _answer(self, body: bytes) -> None:
                if self.path == "/redirect":
                    self.send_response(302)
                    self.send_header("Location", server.location)
                    self.end_headers()
                    return
                self.send_response(server.status)
                self.flush_headers()
                self._drip("head", b"X-Drip: ", b"x", b"\r\n")
                self.end_headers()
                self._drip("body", b"", b" ", b"")
                self.wfile.write(body)

            def _drip(self, what: str, start: bytes, drop: bytes, end: bytes) -> None:
                if server.drip == what:
                    self.wfile.write(start)
                    while server.drip:
                        self.wfile.write(drop)
                        server._never.wait(0.001)
                    self.wfile.write(end)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler
