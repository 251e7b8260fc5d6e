"""Signatures of Standard Webhooks (https://www.standardwebhooks.com): made by the server, checked by the app. Pure.

The signature is an HMAC-SHA256 over ``id.timestamp.body`` with the bytes that the secret holds in base64. The
headers are ``webhook-id``, ``webhook-timestamp`` (Unix time in seconds) and ``webhook-signature`` (``v1,`` and the
signature in base64; several, with spaces between them, while a secret is replaced).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hubbub.errors import HubbubError, SettingsError

TOLERANCE = 300.0
"""Seconds by which the time of a request may differ from the clock of the app."""

MIN_BYTES, MAX_BYTES = 24, 64
"""How many random bytes a secret holds, by the specification."""

MAX_SIGNATURES = 20
"""Most signatures of one request that are compared."""

_PREFIX = "whsec_"
MAKE_ONE = 'make one with: echo "whsec_$(openssl rand -base64 32)"'
"""The end of an error text about a secret."""


class VerificationError(HubbubError, ValueError):
    """A request is not what it should be from the Hubbub server: answer it with 401 and do nothing else."""


class SignatureError(VerificationError):
    """No signature of the request fits a secret, or one of the three headers is missing."""


class TimestampError(VerificationError):
    """The request was signed too long ago, or in the future: it may be a repetition, or a clock is wrong."""


def secret_key(secret: str, name: str = "secret") -> bytes:
    """Return the bytes that a secret holds.

    Args:
        secret: ``whsec_`` and base64 of 24 to 64 bytes.
        name: What an error text calls it.

    Raises:
        SettingsError: It is not such a secret. The text does not repeat it.
    """
    if not secret.startswith(_PREFIX):
        raise SettingsError(f'{name} must begin with "{_PREFIX}"; {MAKE_ONE}')
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f'{name} must be base64 behind "{_PREFIX}"; {MAKE_ONE}') from None
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise SettingsError(f"{name} must hold {MIN_BYTES} to {MAX_BYTES} bytes, not {len(key)}; {MAKE_ONE}")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``."""
    digest = hmac.digest(key, b"%s.%d.%s" % (message_id.encode(), timestamp, body), hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def verify(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> Any:
    """Check that a request is from the Hubbub server; return its body, parsed.

    Args:
        body: The body as it came, before anything has parsed it.
        headers: The headers of the request, with names in upper or lower case.
        secret: ``hooks_secret`` of the server; while it is replaced, a list of the old and the new one.
        tolerance: Seconds by which the time of the request may differ from `now`.
        now: Unix time in seconds; None for the clock.

    Returns:
        A dict with ``type``, ``timestamp`` and ``data``.

    Raises:
        SignatureError: No signature fits, a header is missing, or the signed body is not JSON.
        TimestampError: The request was signed more than `tolerance` seconds ago, or lies as far in the future.
        SettingsError: `secret` is not a secret: an error of the program.
    """
    keys = [secret_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    message_id, sent, signatures = (_header(headers, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    try:
        timestamp = int(sent) if sent.isascii() and sent.isdigit() and len(sent) <= 15 else None
    except ValueError:  # pragma: no cover  (digits only)
        timestamp = None
    if timestamp is None:
        raise TimestampError("webhook-timestamp must be Unix time in whole seconds")
    age = (time.time() if now is None else now) - timestamp
    if abs(age) > tolerance:
        when = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s in the future"
        raise TimestampError(f"the request was signed {when}, and {tolerance:g} s are allowed: check both clocks")
    content = body.encode() if isinstance(body, str) else body
    expected = [sign(key, message_id, timestamp, content).encode() for key in keys]
    given = [each.encode() for each in signatures.split(" ")[:MAX_SIGNATURES]]
    # All pairs are compared, so the time does not tell which secret was near.
    if not any([hmac.compare_digest(one, other) for one in given for other in expected]):  # noqa: C419
        raise SignatureError("no signature fits: use the hooks_secret of the server, and the body as it came")
    try:
        return json.loads(content)
    except ValueError:
        raise SignatureError("the signed body is not JSON: the request is not from a Hubbub server") from None


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:  # a dict that keeps the names as they were written
        value = next((text for other, text in headers.items() if other.lower() == name), None)
    if not value:
        raise SignatureError(f"the header {name} is missing: the request is not from a Hubbub server")
    return value
