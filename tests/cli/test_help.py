"""``--help`` teaches: every command has examples, and every setting is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from hubbub.settings import Settings
from support.command import call, run

COMMANDS = ["serve", "token", "groups", "users", "events", "post", "join", "bench"]

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


async def test_the_commands_are_listed_with_what_they_do(tmp_path: Path) -> None:
    ran = await run(cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert re.findall(r"^│ ([a-z]+) +[A-Z].*\. +│$", ran.out, re.MULTILINE) == COMMANDS
    assert ran == await run("--help", cwd=tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(command: str, empty: Path) -> None:
    ran = call(command, "--help")
    assert ran.code == 0
    assert len(re.findall(rf"^    .*\bhubbub {command}\b", ran.out, re.MULTILINE)) >= 3
    assert max(map(len, ran.out.splitlines())) <= 100
    if command == "serve":
        for field in fields(Settings):
            assert f"--{field.name.replace('_', '-')} " in ran.out


@pytest.mark.parametrize("command", ["groups", "users", "events", "post", "join"])
def test_the_page_of_commands_has_every_option(command: str, empty: Path) -> None:
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", call(command, "--help").out.partition("─ Parameters ─")[2]))
    assert len(options) > 4
    assert [option for option in sorted(options) if f"`{option}" not in PAGE.read_text()] == []


def test_an_unknown_command_is_answered_with_the_nearest(empty: Path) -> None:
    ran = call("srve")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith('hubbub: Unknown command "srve". Did you mean "serve"?')
