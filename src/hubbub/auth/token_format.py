"""Takes a JSON Web Token apart: RFC 7519 in the compact form of RFC 7515, ``header.payload.signature``. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import NamedTuple

from hubbub.auth.claims import decode_object, unauthorized

MAX_TOKEN = 8192
"""Most characters of a token; a longer one is refused without being parsed."""


class TokenParts(NamedTuple):
    """The parts of a token, decoded; nothing in them is proven yet."""

    alg: str
    kid: str | None
    payload: bytes
    signed: bytes
    """The text that was signed: header, dot and payload as they came."""
    signature: bytes


def parse_token(token: str) -> TokenParts:
    """Split and decode a token.

    Raises:
        CommandError: ``UNAUTHORIZED``, it is too long or not well formed.
    """
    if len(token) > MAX_TOKEN:
        raise unauthorized(f"The token is longer than {MAX_TOKEN} characters.")
    try:
        header, payload, signature = token.encode("ascii").split(b".")
        alg, kid = _read_header(header)
        return TokenParts(alg, kid, _decode(payload), header + b"." + payload, _decode(signature))
    except ValueError:
        raise unauthorized("The token is not a well-formed JSON Web Token.") from None


@lru_cache(maxsize=256)  # nearly all tokens of one server have the same few headers
def _read_header(part: bytes) -> tuple[str, str | None]:
    """Return ``alg`` and ``kid``. Fields that say where to find the key (``jwk``, ``jku``, ``x5u``) are ignored."""
    header = decode_object(_decode(part))
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or not isinstance(kid, str | None):
        raise ValueError("alg and kid must be text")
    if "crit" in header or "b64" in header:  # RFC 7515, section 4.1.11: unknown extensions must be refused
        raise ValueError("extensions are not supported")
    return alg, kid


def _decode(part: bytes) -> bytes:
    """Decode base64url without padding (RFC 7515, section 2); only the canonical spelling is accepted."""
    decoded = urlsafe_b64decode(part + b"=="[: -len(part) % 4])
    if urlsafe_b64encode(decoded).rstrip(b"=") != part:  # the decoder skips characters that are not in its alphabet
        raise ValueError("not base64url")
    return decoded
