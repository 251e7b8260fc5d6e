"""docs/settings.md is made from settings.py, and is current."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from hubbub.cli.settings_page import describe, settings_page
from hubbub.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == settings_page(), "python -m hubbub.cli.settings_page > docs/settings.md"


def test_the_command_that_it_names_writes_it() -> None:
    ran = subprocess.run([sys.executable, "-m", "hubbub.cli.settings_page"], capture_output=True, check=True)
    assert ran.stdout == PAGE.read_bytes()


def test_every_setting_is_described_in_a_row_of_its_own() -> None:
    names = [field.name for field in fields(Settings)]
    assert list(describe()) == names
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [f"| `{name}`" for name in names]
    by_name = dict(zip(names, rows, strict=True))
    assert by_name["port"][1:4] == ["`--port`", "`HUBBUB_PORT`", "`8000`"]
    assert by_name["demo"][1:4] == ["`--demo` `--no-demo`", "`HUBBUB_DEMO`", "`true`"]
    assert by_name["secret"][3] == ""
