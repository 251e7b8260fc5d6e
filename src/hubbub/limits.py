"""What a client's values may be: names, ids and messages, checked against the settings. Pure functions.

Each check returns nothing and raises `CommandError` whose text names the field and the limit, so the WebSocket and the
HTTP API refuse the same things with the same words.
"""

from __future__ import annotations

import json
import math
import re

import msgspec

from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.messages import Recipient

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("out of range")
    return value


# Numbers are read by Python: msgspec's own way to read the likes of 1e290 takes 10 µs each, 110 ms for 64 KiB of them.
_parse = msgspec.json.Decoder(float_hook=_finite).decode

MAX_KEY = 128
"""Most characters of the key of a post."""


def check_name(field: str, name: str, longest: int) -> None:
    """Refuse a group name or user id that is empty or longer than `longest` characters."""
    if not 1 <= len(name) <= longest:
        size = "empty" if not name else f"{len(name)} characters long"
        raise invalid(f'"{field}" must be 1 to {longest} characters; it is {size}.')


def check_key(key: str | None, min_recipients: int | None) -> None:
    """Refuse a post's key that is empty or too long, and a number of recipients below zero."""
    if key is not None:
        check_name("key", key, MAX_KEY)
    if min_recipients is not None and min_recipients < 0:
        raise invalid(f'"min_recipients" must be 0 or more, not {min_recipients}.')


def check_recipient(to: Recipient | str, longest_group: int, longest_user: int) -> None:
    """Refuse a name that is longer than any may be: an error that repeats it must not be longer than the limits."""
    # What is empty has an error of its own.
    if isinstance(to, str):
        if to:
            check_name("to", to, max(longest_group, longest_user))
    elif to.group:
        check_name("group", to.group, longest_group)


def require_recipients(least: int, listening: int) -> None:
    """Refuse a post that fewer connections would hear than its sender asks for."""
    if listening < least:
        text = f'{listening} connections are listening; "min_recipients" asks for {least}. Nothing was sent.'
        raise CommandError(ErrorCode.INVALID_REQUEST, text)


def check_message(message: msgspec.Raw, max_bytes: int, max_depth: int) -> None:
    """Refuse a message that is too large, too deep, or that some JSON parser would refuse or change.

    Args:
        message: One JSON value, as the sender wrote it; already known to be well formed and UTF-8.
        max_bytes: Most bytes of that text.
        max_depth: Most arrays and objects inside each other.

    Raises:
        CommandError: ``TOO_LARGE`` for size and depth; ``INVALID_PARAMETER`` for a number no double can hold
            (RFC 8259, section 6: such numbers are not interoperable).
    """
    size = len(message)
    if size > max_bytes:
        raise CommandError(ErrorCode.TOO_LARGE, f'"message" is {size} bytes; at most {max_bytes} are allowed.')
    # Each level takes two bytes, so short messages cannot be too deep.
    if size > 2 * max_depth and _too_deep(bytes(message), max_depth):
        raise CommandError(ErrorCode.TOO_LARGE, f'"message" is nested deeper than {max_depth} levels.')
    try:
        _parse(message)
    except ValueError:
        if not _all_finite(bytes(message)):
            raise invalid('"message" holds a number that is out of the range of a double.') from None


def _all_finite(raw: bytes) -> bool:
    # The other reason for a refusal is half of a surrogate pair, which a dialect may let through. Python's own parser
    # does, too.
    try:
        json.loads(raw, parse_float=_finite, parse_int=_finite)
    except ValueError:
        return False
    return True


def _too_deep(raw: bytes, max_depth: int) -> bool:
    # Brackets are counted in nanoseconds; few messages have to be walked through.
    return raw.count(b"[") + raw.count(b"{") > max_depth and depth(raw) > max_depth


def depth(text: bytes) -> int:
    """Return how many arrays and objects of a well-formed JSON text lie inside each other, at the deepest place."""
    deepest = level = 0
    for byte in _STRING.sub(b"", text):
        if byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest
