"""Guest keys: while a guest name is in use, only clients with the key of its first connection can connect under it.

Without them anybody could take a guest's name and receive the private messages to it. Pure. The backend keeps a digest
beside the user's inbox (`hubbub.backends.base.Backend.connect`), so whoever reads the store cannot connect as a guest.
"""

from __future__ import annotations

from hashlib import blake2b
from secrets import token_urlsafe

from hubbub.errors import CommandError, ErrorCode, invalid

SHORTEST = 16
"""Least characters of a key that a client has chosen."""

LONGEST = 128
"""Most characters of a key."""


def new_guest_key() -> str:
    """Return a random key of 22 characters (128 bits)."""
    return token_urlsafe(16)


def check_guest_key(key: str) -> None:
    """Raise `CommandError` with ``INVALID_PARAMETER`` if the key is too short, too long or not ASCII."""
    if not SHORTEST <= len(key) <= LONGEST:
        raise invalid(f'"guest_key" must have {SHORTEST} to {LONGEST} characters; it has {len(key)}.')
    if not key.isascii():
        raise invalid('"guest_key" must be ASCII: generate it at random, or leave it out to be given one.')


def guest_key_digest(key: str) -> bytes:
    """Return the 16 bytes (BLAKE2b) by which a backend recognizes the key."""
    return blake2b(key.encode(), digest_size=16).digest()


def name_in_use(user_id: str) -> CommandError:
    """Return the error for a guest name that others are connected with."""
    text = (
        f'The guest name "{user_id}" is in use. Connect with another name, or with the "guest_key" '
        "that the first connection of this name got in its welcome."
    )
    return CommandError(ErrorCode.FORBIDDEN, text)
