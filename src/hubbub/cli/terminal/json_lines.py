"""One JSON value on each line, for programs, and harmless to the terminal of people who look at it."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from hubbub.cli.terminal.screen import is_harmless

_BEYOND_ASCII = re.compile(r"[^ -~]")


def json_line(value: Any) -> str:
    """Return `value` as one line of JSON. Structs become objects.

    Text stays readable, except for characters that a terminal would obey: they are escaped, which is the same JSON.
    """
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
    return _BEYOND_ASCII.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return character if is_harmless(character) else f"\\u{ord(character):04x}"
