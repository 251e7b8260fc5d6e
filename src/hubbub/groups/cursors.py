"""Cursors that tell nothing: what continues a listing in which groups are hidden from its reader.

A page that passes over hidden groups ends at one of them, so its cursor would tell that group's name and size. Such
cursors are encrypted and authenticated with a key that all nodes share: AES-SIV (RFC 5297), which needs no nonce that
could ever repeat. They are bound to the reader and to the order of the listing. Padding hides how long a name is.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from hubbub.errors import CommandError, invalid

FIELD = "cursor"
"""The only field of a sealed cursor, which is a JSON object as every cursor is."""

MAX_SEALED = 8192
"""Most characters of a sealed cursor; the longest name there can be has room in it."""

_PADDED = 128
"""Sealed cursors hold a multiple of this, in bytes."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Cursors:
    """Seals and opens cursors. Until `use` it has a key of its own, which no other node knows."""

    def __init__(self) -> None:
        self.use(None)

    def use(self, secret: bytes | None) -> None:
        """Take the key from something that all nodes share and nobody else knows; None if there is no other node."""
        key = hmac.digest(secret or secrets.token_bytes(32), b"hubbub cursors", "sha512")
        self._cipher = AESSIV(key)

    def seal(self, cursor: dict[str, Any], reader: str, order: str) -> dict[str, Any]:
        """Return `cursor` so that nobody can read or change it, for the user `reader` in a listing by `order`."""
        data = msgspec.json.encode(cursor)
        data = data.ljust(-(-len(data) // _PADDED) * _PADDED)
        return {FIELD: urlsafe_b64encode(self._cipher.encrypt(data, _bound_to(reader, order))).rstrip(b"=").decode()}

    def open(self, cursor: dict[str, Any], reader: str, order: str) -> dict[str, Any]:
        """Return what was sealed.

        Raises:
            CommandError: ``INVALID_PARAMETER``, naming ``startKey``: it was not made here, or for another reader or
                another order, or it was changed.
        """
        sealed = cursor.get(FIELD)
        if len(cursor) != 1 or not isinstance(sealed, str) or len(sealed) > MAX_SEALED:
            raise _foreign()
        try:
            data = urlsafe_b64decode(sealed.encode("ascii") + b"=="[: -len(sealed) % 4])
            return _decode(self._cipher.decrypt(data, _bound_to(reader, order)))
        except (ValueError, InvalidTag):  # not base64 of ASCII; too short; not what was sealed
            raise _foreign() from None


def _bound_to(reader: str, order: str) -> list[bytes]:
    return [reader.encode(), order.encode()]


def _foreign() -> CommandError:
    return invalid(
        '"startKey" must be what the page before ended with, in the same order and for the same user: '
        'send it back unchanged, or "start" to begin again.'
    )
