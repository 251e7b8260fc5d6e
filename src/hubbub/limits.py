"""Limits of what a client sends: names, ids and messages, checked against the settings. Pure functions.

Each check returns nothing, or raises a `CommandError` whose text names the field and the limit. The WebSocket and the
HTTP API use the same checks, so they refuse the same values with the same texts.
"""

from __future__ import annotations

import math
import re
from array import array
from itertools import accumulate

import msgspec

from hubbub.errors import CommandError, ErrorCode, invalid


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("out of range")
    return value


# Python parses the numbers: msgspec's own parser takes 10 µs for each number like 1e290, 110 ms for 64 KiB of them.
_parse = msgspec.json.Decoder(float_hook=_finite).decode

MAX_KEY = 128
"""Most characters of the key of a post."""


def check_name(field: str, name: str, longest: int) -> None:
    """Refuse a group name or user id that is empty or longer than `longest` characters."""
    if not 1 <= len(name) <= longest:
        size = "empty" if not name else f"{len(name)} characters long"
        raise invalid(f'"{field}" must be 1 to {longest} characters; it is {size}.')


def check_key(key: str | None, min_recipients: int | None, *, keep: bool = True) -> None:
    """Refuse a post's key that is empty, too long or cannot be kept, and a number of recipients below zero."""
    if key is not None:
        check_name("key", key, MAX_KEY)
        if not keep:
            raise invalid(
                '"key" cannot be used with "keep": false, since nothing of such a post is kept: leave it out.'
            )
    if min_recipients is not None and min_recipients < 0:
        raise invalid(f'"min_recipients" must be 0 or more, not {min_recipients}.')


def require_recipients(least: int, listening: int) -> None:
    """Refuse a post with fewer recipients than its sender asks for."""
    if listening < least:
        raise too_few(least, listening)


def too_few(least: int, listening: int) -> CommandError:
    """Return the error for a post with fewer recipients than its sender asks for."""
    text = f'Nothing was sent: {listening} connections would receive it, and "min_recipients" asks for {least}.'
    return CommandError(ErrorCode.INVALID_REQUEST, text)


def check_message(message: msgspec.Raw, max_bytes: int, max_depth: int) -> None:
    """Refuse a message that is too large or too deep, or that some JSON parsers would refuse or change.

    Args:
        message: One JSON value, as the sender wrote it; it must be well formed and UTF-8.
        max_bytes: Most bytes of that text.
        max_depth: Most levels of nested arrays and objects.

    Raises:
        CommandError: ``TOO_LARGE`` for size and depth; ``INVALID_PARAMETER`` for a number no double can hold
            (RFC 8259, section 6: such numbers are not interoperable).
    """
    size = len(message)
    if size > max_bytes:
        raise CommandError(ErrorCode.TOO_LARGE, f'"message" is {size} bytes; at most {max_bytes} are allowed.')
    # Each level takes two bytes, so short messages cannot be too deep.
    if size > 2 * max_depth and too_deep(bytes(message), max_depth):
        raise CommandError(ErrorCode.TOO_LARGE, f'"message" is nested deeper than {max_depth} levels.')
    if size > PARSED:
        if not _suspicious(bytes(message)):
            return
    else:
        try:
            _parse(message)
            if size <= LONGEST_FINITE or not _may_hold_long_integer(bytes(message)):
                return
        except ValueError:
            pass
    if not _all_finite(message):
        raise invalid('"message" contains a number that is out of the range of a double: send it as a string.')


# --- depth and numbers: every step is one pass in C, since a Python loop would take a hundred times as long ---

PARSED = 2048
"""Bytes up to which parsing a message is faster than searching it for suspicious numbers."""

DIGITS = 32
"""Every number above 1e131 has this many digits in a row, or a positive exponent of three digits; few messages do."""

_SHAPE = bytes.maketrans(b"0123456789E{}", b"0000000000e[]")
_NO_SHAPE = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_MANY_DIGITS = b"0" * DIGITS
_THREE_DIGITS = re.compile(rb"[0-9]{3}").search
_SPACES = bytes.maketrans(b"[]{}:,", b"      ")

_STEPS = bytes.maketrans(b"[]", b"\x01\xff")

FLAT = 2
"""Levels that are removed by replacing, before levels are counted."""

LONGEST_FINITE = 308
"""Most digits of an integer for which every value fits into a double."""

STRIDE = 100
"""Every so many bytes one is looked at; `LONGEST_FINITE` digits and one more hold three of those."""


def _suspicious(raw: bytes) -> bool:
    """Whether a number may be too large: there is a long one, or text that looks like one, perhaps inside a string."""
    shape = raw.translate(_SHAPE)
    return b"0e000" in shape or b"0e+000" in shape or _MANY_DIGITS in shape


def _may_hold_long_integer(raw: bytes) -> bool:
    """Whether there can be more than `LONGEST_FINITE` digits in a row: three samples, `STRIDE` apart, are digits."""
    return _THREE_DIGITS(raw[::STRIDE]) is not None


def _all_finite(message: msgspec.Raw) -> bool:
    try:
        if type(_parse(message)) is str:
            return True
    except ValueError as error:
        if "out of range" in str(error):
            return False
        # The other reason is half of a surrogate pair, which a dialect may allow. Each escape that could be one is
        # replaced by another character here; nothing else changes.
        try:
            _parse(bytes(message).replace(b"\\ud", b"\\u0").replace(b"\\uD", b"\\u0"))
        except ValueError:
            return False
    return len(message) <= LONGEST_FINITE or _long_integers_fit(bytes(message))


def _long_integers_fit(raw: bytes) -> bool:
    # The parser returns Python integers, which have no limit.
    if _MANY_DIGITS not in raw.translate(_SHAPE):
        return True
    words = b" ".join(_unescaped(raw).split(b'"')[::2]).translate(_SPACES).split()
    return all(math.isfinite(float(word)) for word in words if len(word) > LONGEST_FINITE)


def _unescaped(text: bytes) -> bytes:
    """Return `text` without escaped backslashes and quotes: every remaining quote begins or ends a string."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def too_deep(text: bytes, most: int) -> bool:
    """Return whether a well-formed JSON text has more than `most` levels of nested arrays and objects."""
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    brackets = _brackets(text)
    # Flat parts go first: each round removes the innermost level everywhere.
    rounds = 0
    while rounds < FLAT and brackets:
        brackets = brackets.replace(b"[]", b"")
        rounds += 1
    # Then several brackets of one kind become one step of that height, which does not change the highest level.
    steps = brackets.translate(_STEPS)
    for height in (16, 4, 2):
        steps = steps.replace(b"\x01" * height, bytes((height,))).replace(b"\xff" * height, bytes((256 - height,)))
    return rounds + max(accumulate(array("b", steps)), default=0) > most


def _brackets(text: bytes) -> bytes:
    """Return the brackets of a JSON text outside its strings, all of them as square brackets."""
    text = _unescaped(text).translate(_SHAPE, _NO_SHAPE)
    if b'"' not in text:
        return text
    # Two adjacent quotes are an empty string, or the end of one string and the beginning of the next, which can be
    # treated as one string.
    return b"".join(text.replace(b'""', b"").split(b'"')[::2])
