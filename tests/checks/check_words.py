"""Words that this project has a better one for: `RULES` says which, why, and where they may stand.

Names and prose are searched alike, in every text file of the project. Between ``words: off`` and ``words: on``, each in
a comment, nothing is searched: there the words are quoted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import unclean

SEARCHED = {".py", ".md", ".js", ".mjs", ".ts", ".html", ".css", ".lua", ".toml", ".yml", ".yaml", ".conf", ".sh"}
PLACES = ("src", "tests", "docs", "benchmarks", "examples", "deploy", ".github", "*.md", "pyproject.toml", "Makefile")
SKIPPED = {"node_modules", "__pycache__", "checks", "vectors"}
_SWITCH = re.compile(r"words: (on|off)\b")


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that must not be found."""

    pattern: str
    """What is searched for, in any case. ``\\b`` is for whole words; names are cut at underscores beforehand."""
    better: str
    """What to write in its place."""
    why: str
    where: str = ""
    """Only in paths that match this expression."""


RULES = [
    # Names: one word, one thing, and the word of the field.
    Rule(r"\bwhisper", "post_to_user, private message", "nobody searches for it"),
    Rule(r"\bbucket", "shard", "a bucket is a rate limiter's", where=r"backends|scripts|scaling"),
    Rule(
        r"(?<![\"'`])\b(lives|a life|this life|life of)\b", "incarnation", "not the usual term", where="backends/valkey"
    ),
    Rule(r"\b(life|lives) of (a|the|this|one) node\b|\bnode's (life|lives)\b", "incarnation", "not the usual term"),
    Rule(r"\b(bury|buries|buried|revive)", "expire_node, register", "metaphors for what every cluster does"),
    Rule(r"\b(FakeLink|AdoptIdentity) (a|an|the|it|its|one|this|each)\b", "end, join", "left by a renaming of classes"),
    Rule(r"\bvanish", "abort, connection lost", "not the usual term"),
    Rule(r"\bby the book\b", "protocol conformance, as RFC … says", "an idiom"),
    Rule(r"\bwslib\b", "library_protocol", "an abbreviation that nobody else uses"),
    # Clauses without a noun.
    Rule(r"\bwho(ever)? (comes?|came) back\b", "a client that reconnects", "a clause needs a noun"),
    Rule(
        r"\bwho(ever)? (is|are) (there|gone|away)\b", "connected clients, a client that left", "a clause needs a noun"
    ),
    Rule(r"\bhears? (of|nothing)\b", "is told, receives", "an unusual verb for receiving an event"),
    Rule(r"\bwhat (occurs|stands) twice\b", "duplicates", "a clause needs a noun"),
    Rule(
        r"(^\W*|[.;:(] )who(ever)? (goes|stays|reads|asks|sends|posts|joins|leaves|knows|has|wants|may|would|only)\b",
        "a client that …, members that …",
        "a clause needs a noun",
    ),
    Rule(r"\bof more\b(?! than| or )", "beyond that", "a clause needs a noun"),
    Rule(r"\bwhosever\b", "in whichever group, of any user", "archaic"),
    # Metaphors and idioms.
    Rule(r"\bdoors?\b", "admission, login page", "a metaphor"),
    Rule(r"\bcrowds?\b", "many clients, load", "a metaphor"),
    Rule(r"\bstrangers?\b", "unknown, somebody else", "a metaphor"),
    Rule(r"\bnewcomers?\b", "new connection, new client", "not the usual term"),
    Rule(r"\bat home\b", "local", "a metaphor"),
    Rule(r"\bgets? in\b(?! the| a| touch| order)", "connects, is admitted", "a metaphor"),
    Rule(r"\bin vain\b", "without success, failed", "archaic"),
    Rule(r"\bout of (its|their|his) mind\b", "invalid", "an idiom"),
    Rule(r"\bknock(s|ed|ing)?\b", "connect", "a metaphor"),
    Rule(r"\bflaps\b", "leaves and rejoins", "jargon of networks"),
    Rule(r"\bfor ever\b", "indefinitely, until …", "say until when"),
    Rule(r"\bgoes? without saying\b", "default", "an idiom"),
    Rule(r"\bslip of the pen\b", "typo", "an idiom"),
    Rule(r"\bstands? in line\b|\bwaits? in line\b", "is queued", "a metaphor"),
    Rule(r"\bwithout a word\b", "silently", "an idiom"),
    Rule(r"\bis let in\b|\blets? in\b|\blet in\b", "accepts, admits", "a metaphor"),
    Rule(r"\bgoodbyes?\b", "restart notice, close frame", "a metaphor"),
]
_COMPILED = [(re.compile(rule.pattern, re.IGNORECASE), re.compile(rule.where), rule) for rule in RULES]


def offences(path: str, text: str) -> Iterator[str]:
    """Yield a line for each word in `text` that has a better one; `path` is relative to the project."""
    rules = [(pattern, rule) for pattern, where, rule in _COMPILED if where.search(path)]
    searched = True
    for number, line in enumerate(text.splitlines(), 1):
        if switch := _SWITCH.search(line):
            searched = switch[1] == "on"
        if searched:
            words = line.replace("_", " ")
            for pattern, rule in rules:
                if match := pattern.search(words):
                    yield f'{path}:{number}: "{match[0].strip()}": better "{rule.better}" ({rule.why})'


def files(root: Path) -> Iterator[Path]:
    """Yield the text files of the project, without what was installed or made."""
    for place in PLACES:
        for top in root.glob(place):
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                known = path.suffix in SEARCHED or path.name in {"Makefile", "Dockerfile"}
                if known and not SKIPPED & set(path.relative_to(root).parts) and path.is_file():
                    yield path


def main() -> int:
    """Search every file and judge what was found."""
    found = {}
    for path in files(unclean.ROOT):
        name = path.relative_to(unclean.ROOT).as_posix()
        if lines := list(offences(name, path.read_text(encoding="utf-8"))):
            found[name] = lines
    return unclean.judge("words", found, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
