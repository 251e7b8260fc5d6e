"""Whatever people write, a terminal shows it and obeys none of it; nothing that can be read is lost."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from hubbub.cli.terminal.json_lines import json_line
from hubbub.cli.terminal.screen import (
    Screen,
    colour,
    escape_controls,
    message_line,
    message_text,
    name,
    notice_line,
    one_line,
)

BIDI_CONTROLS = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}  # by Unicode's own tables
BIDI_MARKS = {"LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK"}

TEXT = st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))


def dangerous(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in BIDI_CONTROLS
        or unicodedata.name(character, "") in BIDI_MARKS
    )


def on_paper(line: Text | str, **options: Any) -> str:
    """Return what a screen without a terminal gets."""
    out = io.StringIO()
    Screen(Console(file=out, width=20, **options)).show(line)
    return out.getvalue()


@given(TEXT)
@example("".join(map(chr, range(0x2100))))
def test_harmless_text_is_just_that(text: str) -> None:
    shown = escape_controls(text)
    assert not any(dangerous(character) for character in shown.replace("\n", ""))
    assert shown.count("\n") == text.count("\n")
    assert "\n" not in one_line(text)
    if not any(map(dangerous, text)):
        assert shown == one_line(text) == text


UNICODE = TEXT.filter(lambda text: not re.search("[\ud800-\udfff]", text))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | UNICODE,
    lambda inside: st.lists(inside) | st.dictionaries(UNICODE, inside),
    max_leaves=5,
)


@given(JSON)
def test_a_line_of_json_is_harmless_and_the_same_value(value: Any) -> None:
    line = json_line(value)
    assert not any(map(dangerous, line))
    assert json.loads(line) == value


def test_a_line_of_json_stays_readable() -> None:
    assert json_line({"msg": "Grüße, 世界 👩‍👩‍👧 \x1b\x9b\x7f\u202e"}) == (
        '{"msg": "Grüße, 世界 👩‍👩‍👧 \\u001b\\u009b\\u007f\\u202e"}'
    )


@given(TEXT, JSON)
def test_messages_on_the_screen_are_escape_controls(sender: str, message: Any) -> None:
    shown = on_paper(message_line(sender, message))
    assert not any(dangerous(character) for character in shown.replace("\n", ""))
    assert shown.startswith(f"{one_line(sender)}: ")
    assert all(line.startswith("    ") for line in shown.split("\n")[1:-1])  # nobody fakes a line of somebody else


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"msg": "hi", "x": 1}, "hi"),
        ({"text": "hi"}, "hi"),
        ("hi", "hi"),
        ({"msg": None}, '{"msg": null}'),
        ({"message": "ü"}, '{"message": "ü"}'),
        (None, "null"),
        ([], "[]"),
        (0, "0"),
    ],
)
def test_people_say_words_and_programs_json(message: Any, said: str) -> None:
    assert message_text(message) == said


def test_lines_are_neither_cut_nor_marked_up() -> None:
    text = "[bold]:smile: " + "x" * 100
    assert on_paper(message_line("bob", text)) == f"bob: {text}\n"
    assert on_paper(message_line("bob", "x", privately=True)) == "bob (only to you): x\n"


@pytest.mark.parametrize(
    ("code", "connections", "line"),
    [
        ("USER_JOINED", 1, "* bob joined"),
        ("USER_JOINED", 2, "* bob joined (2 connections now)"),
        ("USER_LEFT", 0, "* bob left"),
        ("USER_LEFT", 1, "* bob left (1 connections now)"),
        ("USER_DISCONNECTED", 0, "* bob was disconnected"),
        ("USER_\x1b", 0, "* bob USER_␛"),
    ],
)
def test_notices(code: str, connections: int, line: str) -> None:
    assert notice_line("bob", code, connections).plain == line


def test_everybody_keeps_a_colour() -> None:
    assert colour("alice") == colour("alice")
    assert len({colour(f"user-{number}") for number in range(50)}) > 5
    assert name("a\nb").plain == "a␊b"
    assert colour("\ud800")


def test_only_on_a_terminal_a_line_is_put_above_the_typed_one() -> None:
    for terminal, expected in ((True, "\r\x1b[Kx\n> typ"), (False, "x\n")):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, color_system=None)
        Screen(console, lambda: nullcontext("> typ")).show("x")
        assert out.getvalue() == expected
