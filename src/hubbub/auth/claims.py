"""Turns the claims of a token whose signature was verified into an identity. No clock, no keys, no I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from hubbub.auth.identity import Identity
from hubbub.errors import CommandError, ErrorCode
from hubbub.settings import Settings

MAX_PATTERNS = 1000
"""Most entries of the claim ``groups``, and of ``post``."""
GUEST_PREFIX = "guest:"
"""Prefix of guests' ids on a server that accepts tokens too, so that no guest can take the id of a token's user."""
MAX_PATTERN = 256
"""Most characters of one such entry."""


def unauthorized(message: str) -> CommandError:
    """Return the error for a token that is not accepted. `message` must not quote the token."""
    return CommandError(ErrorCode.UNAUTHORIZED, message)


def decode_object(raw: bytes) -> dict[str, Any]:
    """Decode a JSON object without duplicate names at any level (RFC 7515 and 7519, both section 4).

    Raises:
        ValueError: Not UTF-8, not JSON, not an object, a duplicate name, ``NaN`` or ``Infinity``, or nested too deep.
    """
    try:
        value = _DECODER.decode(raw.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def read_claims(payload: bytes, settings: Settings, unix_time: float) -> Identity:
    """Return the identity that the claims of a token give.

    Args:
        payload: The claims as JSON; the signature must have been verified.
        settings: The required issuer and audience, the leeway, and the longest user id.
        unix_time: The present, in seconds.

    Raises:
        CommandError: ``UNAUTHORIZED``, with a sentence that names the claim but quotes nothing.
    """
    try:
        claims = decode_object(payload)
    except ValueError:
        raise unauthorized("The token's claims must be a JSON object without duplicate names.") from None
    expires = _check_times(claims, settings.leeway, unix_time)
    _check_source(claims, settings)
    return Identity(
        user_id=_subject(claims, settings),
        groups=_patterns(claims, "groups"),
        server=claims.get("role") == "server",
        expires=expires,
        name=_name(claims, settings.max_user_id),
        private=_flag(claims, "private", default=True),
        post=_patterns(claims, "post"),
        invisible=_flag(claims, "invisible", default=False),
    )


def _check_times(claims: dict[str, Any], leeway: float, unix_time: float) -> float:
    """Check ``exp``, ``nbf`` and ``iat`` (RFC 7519, sections 4.1.4 to 4.1.6) and return ``exp``."""
    expires = _time(claims, "exp")
    if expires + leeway <= unix_time:
        raise unauthorized("The token has expired: connect with a new one.")
    if "nbf" in claims and _time(claims, "nbf") - leeway > unix_time:
        raise unauthorized('The token is not valid yet: check "nbf" and the clocks.')
    if "iat" in claims and _time(claims, "iat") - leeway > unix_time:
        raise unauthorized('The token was issued in the future: check "iat" and the clocks.')
    return expires


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        if math.isfinite(seconds):
            return seconds
    raise unauthorized(f'The token needs "{name}" as a number of seconds.')


def _check_source(claims: dict[str, Any], settings: Settings) -> None:
    """Check ``iss`` and ``aud`` (RFC 7519, sections 4.1.1 and 4.1.3), each only if the settings name one."""
    if settings.issuer is not None and claims.get("iss") != settings.issuer:
        raise unauthorized('The token\'s "iss" must be the issuer that this server is configured with.')
    if settings.audience is not None:
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if settings.audience not in named or not all(isinstance(name, str) for name in named):
            raise unauthorized('The token\'s "aud" must name the audience that this server is configured with.')


def _subject(claims: dict[str, Any], settings: Settings) -> str:
    subject, most = claims.get("sub"), settings.max_user_id
    if not isinstance(subject, str) or not subject:
        raise unauthorized('The token needs "sub" as text.')
    if len(subject) > most:
        raise unauthorized(f'The token\'s "sub" may have at most {most} characters.')
    if not is_unicode(subject):
        raise unauthorized('The token\'s "sub" is not valid Unicode.')
    if settings.allow_guests and subject.startswith(GUEST_PREFIX):
        raise unauthorized(f'The token\'s "sub" must not begin with "{GUEST_PREFIX}": that prefix is for guests.')
    return subject


def _name(claims: dict[str, Any], most: int) -> str | None:
    """Return ``name`` (OpenID Connect Core, section 5.1), or None if it cannot be displayed; it gives no rights."""
    name = claims.get("name")
    return name[:most] if isinstance(name, str) and is_unicode(name) and name else None


def _flag(claims: dict[str, Any], name: str, *, default: bool) -> bool:
    value = claims.get(name, default)
    if not isinstance(value, bool):
        raise unauthorized(f'The token\'s "{name}" must be true or false.')
    return value


def _patterns(claims: dict[str, Any], name: str) -> tuple[str, ...] | None:
    patterns = claims.get(name)
    if patterns is None:
        return None
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise unauthorized(f'The token\'s "{name}" must be a list of texts.')
    if problem := wrong_patterns(patterns):
        raise unauthorized(f'The token\'s "{name}" {problem}.')
    return tuple(patterns)


def wrong_patterns(patterns: Sequence[str]) -> str | None:
    """Return what is wrong with patterns of groups, as the end of a sentence; None if they are within the limits."""
    if len(patterns) > MAX_PATTERNS or any(len(pattern) > MAX_PATTERN for pattern in patterns):
        return f"may have at most {MAX_PATTERNS} patterns of at most {MAX_PATTERN} characters"
    if not all(map(is_unicode, patterns)):
        return "are not valid Unicode"
    return None


def is_unicode(text: str) -> bool:
    """Return whether `text` can be encoded: JSON's escapes allow half of a surrogate pair in a string."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a duplicate name")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
