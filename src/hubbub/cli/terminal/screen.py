"""What people said, made fit for a terminal: one colour for each user, and nothing that a terminal would obey."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green", "bright_red")
"""Readable on black and on white; red is left for errors."""

# Unicode, "Bidirectional Character Types": these turn the text behind them around, so that it reads as something else.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_harmless(character: str) -> bool:
    """Return whether a terminal shows this character, rather than obeys it or cannot have it."""
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029)
    return not (control or 0xD800 <= code < 0xE000 or character in _TURNING)


def harmless(text: str) -> str:
    """Return `text` with everything that is a command to a terminal made visible instead; new lines are indented."""
    return "".join(map(_harmless, text))


def one_line(text: str) -> str:
    """Return `text` as `harmless` does, new lines made visible as well."""
    return harmless(text.replace("\n", "␊"))


def _harmless(character: str) -> str:
    if is_harmless(character):
        return character
    if character == "\n":
        return "\n    "
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"  # the picture of the control character


def colour(user: str) -> str:
    """Return the colour of a user: always the same one, on every machine."""
    return COLOURS[zlib.crc32(user.encode("utf-8", "surrogatepass")) % len(COLOURS)]


def name(user: str) -> Text:
    """Return a user's name in its colour, on one line."""
    return Text(one_line(user), style=f"bold {colour(user)}")


def words(message: Any) -> str:
    """Return what a message says. People send {"msg": …}; programs send any JSON, which is shown as it is."""
    said = message if isinstance(message, str) else None
    if isinstance(message, dict):
        said = message.get("msg", message.get("text"))
    return said if isinstance(said, str) else json.dumps(message, ensure_ascii=False)


CLEAR = "\r\x1b[K"
"""Takes away the line that the cursor is in: ECMA-48, section 8.3.41, with its default."""

NOTICES = {
    "USER_JOINED": "came",
    "USER_LEFT": "left",
    "USER_DISCONNECTED": "was disconnected",
}


def message_line(sender: str, message: Any, *, privately: bool = False) -> Text:
    """Return the line for what somebody said."""
    only = (" (only to you)", "italic") if privately else ""
    return Text.assemble(name(sender), only, ": ", harmless(words(message)))


def notice_line(sender: str, code: str, connections: int) -> Text:
    """Return the line for who came or went; `connections`: how many that user now has in the group."""
    others = f" ({connections} connections now)" if connections > (code == "USER_JOINED") else ""
    return Text.assemble("* ", name(sender), f" {NOTICES.get(code, harmless(code))}{others}", style="dim")


def rendered(console: Console, what: Text | Table) -> str:
    """Return what `console` would print, without the last new line.

    Whoever writes that out sees the error when nobody reads it any more; rich would end the program.
    """
    with console.capture() as captured:
        console.print(what, soft_wrap=isinstance(what, Text), highlight=False, emoji=False)
    return captured.get().removesuffix("\n")


def _untyped() -> AbstractContextManager[str]:
    return nullcontext("")


class Screen:
    """Prints lines, around what is being typed.

    Args:
        console: Where to.
        typed: Gives, for as long as something is printed, the prompt and what has been typed behind it so far; "" if
            nobody types at this terminal.
    """

    def __init__(self, console: Console, typed: Callable[[], AbstractContextManager[str]] = _untyped) -> None:
        self._console = console
        self._typed = typed

    def show(self, line: Text | str) -> None:
        """Print a line above the one that is being typed. Text without colours must be harmless already."""
        if isinstance(line, Text):
            line = rendered(self._console, line)
        with self._typed() if self._console.is_terminal else _untyped() as typed:
            self._console.file.write(f"{CLEAR if typed else ''}{line}\n{typed}")
            self._console.file.flush()

    def error(self, text: str) -> None:
        """Print what went wrong."""
        self.show(Text(harmless(text), style="red"))

    def remark(self, text: str) -> None:
        """Print something of our own."""
        self.show(Text(harmless(text), style="dim"))
