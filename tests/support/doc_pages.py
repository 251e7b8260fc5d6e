"""Reads the fenced blocks of a page, and what the HTML comments above them say about how they are run.

A comment stands on lines of its own before a block and begins with one of the words in `WORDS`. For those who write
pages, `docs/contributing/docs.md` describes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

RUN = {"sh", "python", "js"}
"""Languages that are executed, unless the block has a title: then it is a file for the blocks that follow."""
CHECKED = {"json", "toml", "yaml"}
"""Languages that are parsed."""
FREE = {"text", "mermaid"}
"""Not code: what a person sees, and diagrams, which another test draws."""
WORDS = ("not run", "needs", "server", "valkey", "background", "output", "exit", "with", "setup", "check")

_PIECE = re.compile(
    r"^ *<!-- (?P<word>" + "|".join(WORDS) + r")\b:?[ \n]?(?P<text>.*?) ?-->$"
    r"|^(?P<indent> *)```(?P<language>[\w-]*)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Block:
    """One fenced block.

    Attributes:
        line: Where it begins, from 1.
        language: What stands behind the fence; empty if nothing does.
        title: The name of the file that it is; empty for a block that is run as it is.
        notes: What the comments above it say: pairs of a word and a text.
        checks: Python that is run after it.
    """

    line: int
    language: str
    title: str
    code: str
    notes: list[tuple[str, str]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)

    def note(self, word: str) -> str | None:
        """Return the text of the comment with this word, or None if there is none."""
        return next((text for known, text in self.notes if known == word), None)


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page in order."""
    found: list[Block] = []
    notes: list[tuple[str, str]] = []
    for piece in _PIECE.finditer(text):
        if piece["word"] == "check":
            found[-1].checks.append(piece["text"])
        elif piece["word"]:
            notes.append((piece["word"], piece["text"]))
        else:
            title = re.search(r'title="([^"]+)"', piece["info"])
            indent = len(piece["indent"])
            code = "".join(line[indent:] or "\n" for line in piece["code"].splitlines(keepends=True))
            line = text.count("\n", 0, piece.start()) + 1
            found.append(Block(line, piece["language"], title[1] if title else "", code, notes))
            notes = []
    assert not notes, f"nothing follows the comment {notes}"
    return found


def pages() -> list[Path]:
    """Return all pages."""
    return sorted(DOCS.rglob("*.md"))
