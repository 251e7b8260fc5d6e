"""Lines that are typed into ``hubbub join``."""

from __future__ import annotations

import pytest

from hubbub.cli.terminal.line_commands import HELP, Line, parse_line, unknown_command


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("Hello", Line("post", "Hello")),
        (" /help", Line("post", " /help")),
        ("//help", Line("post", "/help")),
        ("//", Line("post", "/")),
        ("/help", Line("help", "/help")),
        ("/help me", Line("help", "/help")),
        ("/users", Line("users", "/users")),
        ("/quit", Line("quit", "/quit")),
        ("/", Line("unknown", "/")),
        ("/Help", Line("unknown", "/Help")),
        ("/home/me/notes", Line("unknown", "/home/me/notes")),
    ],
)
def test_lines(line: str, meaning: Line) -> None:
    assert parse_line(line) == meaning


def test_the_help_names_every_command() -> None:
    assert all(command in HELP for command in ("/help", "/users", "/quit", "//text"))
    assert "/help" in unknown_command("/x")
