"""``--help`` teaches: every command has examples, and every setting is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from command import call
from hubbub.settings import Settings

COMMANDS = ["serve", "token", "groups", "users", "post", "join", "bench"]


def test_the_commands_are_listed(empty: Path) -> None:
    ran = call()
    assert ran.code == 0
    assert re.findall(r"^│ ([a-z]+) ", ran.out, re.MULTILINE) == COMMANDS
    assert ran == call("--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(command: str, empty: Path) -> None:
    ran = call(command, "--help")
    assert ran.code == 0
    assert len(re.findall(rf"^    .*\bhubbub {command}\b", ran.out, re.MULTILINE)) >= 3
    assert max(map(len, ran.out.splitlines())) <= 100
    if command == "serve":
        for field in fields(Settings):
            assert f"--{field.name.replace('_', '-')} " in ran.out


def test_an_unknown_command_is_answered_with_the_nearest(empty: Path) -> None:
    ran = call("srve")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith('hubbub: Unknown command "srve". Did you mean "serve"?')
