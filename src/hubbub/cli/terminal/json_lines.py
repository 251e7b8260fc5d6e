"""One JSON value on each line, for programs, and safe to print on a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from hubbub.cli.terminal.screen import is_printable

_BEYOND_ASCII = re.compile(r"[^ -~]")


def json_line(value: Any) -> str:
    """Return `value` as one line of JSON. Structs become objects.

    Text stays readable. Only characters that control a terminal are escaped, which does not change the JSON value.
    """
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
    return _BEYOND_ASCII.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return character if is_printable(character) else f"\\u{ord(character):04x}"
