"""docs/reference/errors.md against the tables in errors.py, and what clients say besides."""

from __future__ import annotations

import re
from pathlib import Path

from hubbub.client.events import LOST, UNREADABLE
from hubbub.errors import CLOSE_RULES, HTTP_STATUS

PAGE = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Return the cells of all tables below a heading of the second level."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    assert all(len(row) == len(set(row)) for row in found if row[0].strip("`").isalnum())  # nothing is copied
    return [row for row in found if re.match(r"`?[A-Z0-9]", row[0])]


def test_every_error_code_has_its_status_a_cause_and_a_cure() -> None:
    table = {row[0].strip("`"): row[1:] for row in rows("Error codes")}
    assert {code: int(row[0]) for code, row in table.items() if len(row) == 3} == HTTP_STATUS
    assert {code for code, row in table.items() if len(row) == 2} == {LOST, UNREADABLE}
    assert all(len(cell) > 3 for row in table.values() for cell in row[-2:])


def test_every_close_code_has_its_text_a_cause_and_a_cure() -> None:
    table = {int(row[0]): row[1:] for row in rows("Close codes")}
    said = {code: (row[0], row[1] == "yes") for code, row in table.items()}
    assert said.pop(1006) == ("(none)", True)
    assert said == {int(code): (rule.reason, rule.reconnect) for code, rule in CLOSE_RULES.items()}
    assert all(len(row) == 4 and all(row) for row in table.values())
