"""Encrypted cursors for listings in which some groups are hidden from the reader.

A page may end at a hidden group, and its cursor would tell the name and size of that group. Such cursors are encrypted
and authenticated with a key that all nodes share: AES-SIV (RFC 5297), which needs no nonce and so cannot repeat one.
They are bound to the reader and to the order of the listing. Padding hides the length of the name.
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
"""Most characters of a sealed cursor; enough for the longest name."""

_PADDED = 128
"""Cursors are padded to a multiple of this, in bytes."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Cursors:
    """Seals and opens cursors. Before `use` is called, it has a random key that no other node knows."""

    def __init__(self) -> None:
        self.use(None)

    def use(self, secret: bytes | None) -> None:
        """Derive the key from a secret that only the nodes know; None if there is no other node."""
        key = hmac.digest(secret or secrets.token_bytes(32), b"hubbub cursors", "sha512")
        self._cipher = AESSIV(key)

    def seal(self, cursor: dict[str, Any], reader: str, order: str) -> dict[str, Any]:
        """Return `cursor`, encrypted and authenticated, for the user `reader` in a listing by `order`."""
        data = msgspec.json.encode(cursor)
        data = data.ljust(-(-len(data) // _PADDED) * _PADDED)
        return {FIELD: urlsafe_b64encode(self._cipher.encrypt(data, _bound_to(reader, order))).rstrip(b"=").decode()}

    def open(self, cursor: dict[str, Any], reader: str, order: str) -> dict[str, Any]:
        """Return the cursor that was sealed.

        Raises:
            CommandError: ``INVALID_PARAMETER``, naming ``startKey``: the cursor was changed, or was made by another
                server, for another reader or for another order.
        """
        sealed = cursor.get(FIELD)
        if len(cursor) != 1 or not isinstance(sealed, str) or len(sealed) > MAX_SEALED:
            raise _foreign()
        try:
            data = urlsafe_b64decode(sealed.encode("ascii") + b"=="[: -len(sealed) % 4])
            return _decode(self._cipher.decrypt(data, _bound_to(reader, order)))
        except (ValueError, InvalidTag):  # not base64 of ASCII, too short, or changed
            raise _foreign() from None


def _bound_to(reader: str, order: str) -> list[bytes]:
    return [reader.encode(), order.encode()]


def _foreign() -> CommandError:
    return invalid(
        '"startKey" must be what the page before ended with, in the same order and for the same user: '
        'send it back unchanged, or "start" to begin again.'
    )
