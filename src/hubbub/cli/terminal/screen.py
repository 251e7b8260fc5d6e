"""Text from peers, safe to print on a terminal: a colour for each user, and no characters that control the terminal."""

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
"""Readable on black and on white. Red is reserved for errors."""

# Unicode, "Bidirectional Character Types": these change the direction of the text after them, which can disguise it.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_printable(character: str) -> bool:
    """Return whether a terminal shows this character: not a control, nor half of a surrogate pair."""
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029)
    return not (control or 0xD800 <= code < 0xE000 or character in _BIDI_CONTROLS)


def escape_controls(text: str) -> str:
    """Return `text` with all control characters made visible, and the lines after the first indented."""
    return "".join(map(_visible, text))


def one_line(text: str) -> str:
    """Return `text` with all control characters made visible, line breaks included."""
    return escape_controls(text.replace("\n", "␊"))


def _visible(character: str) -> str:
    if is_printable(character):
        return character
    if character == "\n":
        return "\n    "
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"  # the picture of the control character


def colour(user: str) -> str:
    """Return the colour of a user, which is the same on every machine."""
    return COLOURS[zlib.crc32(user.encode("utf-8", "surrogatepass")) % len(COLOURS)]


def name(user: str) -> Text:
    """Return a user's name in the user's colour, on one line."""
    return Text(one_line(user), style=f"bold {colour(user)}")


def message_text(message: Any) -> str:
    """Return the text of a message: of {"msg": …} or {"text": …} that text, of any other message its JSON."""
    text = message if isinstance(message, str) else None
    if isinstance(message, dict):
        text = message.get("msg", message.get("text"))
    return text if isinstance(text, str) else json.dumps(message, ensure_ascii=False)


CLEAR = "\r\x1b[K"
"""Erases the line of the cursor: ECMA-48, section 8.3.41, with its default."""

NOTICES = {
    "USER_JOINED": "joined",
    "USER_LEFT": "left",
    "USER_DISCONNECTED": "was disconnected",
}


def message_line(sender: str, message: Any, *, privately: bool = False) -> Text:
    """Return the line for a message."""
    only = (" (only to you)", "italic") if privately else ""
    return Text.assemble(name(sender), only, ": ", escape_controls(message_text(message)))


def notice_line(sender: str, code: str, connections: int) -> Text:
    """Return the line for a notice; `connections` is how many that user now has in the group."""
    others = f" ({connections} connections now)" if connections > (code == "USER_JOINED") else ""
    return Text.assemble("* ", name(sender), f" {NOTICES.get(code, escape_controls(code))}{others}", style="dim")


def rendered(console: Console, what: Text | Table) -> str:
    """Return what `console` would print, without the last line break.

    Our caller writes it, and so sees the error when the output was closed; rich would end the program.
    """
    with console.capture() as captured:
        console.print(what, soft_wrap=isinstance(what, Text), highlight=False, emoji=False)
    return captured.get().removesuffix("\n")


def _untyped() -> AbstractContextManager[str]:
    return nullcontext("")


class Screen:
    """Prints lines above the one that is being typed.

    Args:
        console: Where to print.
        typed: A context that pauses typing, and gives the prompt with the text typed so far; "" if there is no prompt.
    """

    def __init__(self, console: Console, typed: Callable[[], AbstractContextManager[str]] = _untyped) -> None:
        self._console = console
        self._typed = typed

    def show(self, line: Text | str) -> None:
        """Print a line above the one that is being typed. A `str` must have been escaped already."""
        if isinstance(line, Text):
            line = rendered(self._console, line)
        with self._typed() if self._console.is_terminal else _untyped() as typed:
            self._console.file.write(f"{CLEAR if typed else ''}{line}\n{typed}")
            self._console.file.flush()

    def error(self, text: str) -> None:
        """Print an error."""
        self.show(Text(escape_controls(text), style="red"))

    def remark(self, text: str) -> None:
        """Print a remark of the command itself."""
        self.show(Text(escape_controls(text), style="dim"))
