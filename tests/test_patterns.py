"""Patterns against the standard library's, one by one, and what the worst of them may cost."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.claims import MAX_PATTERNS
from hubbub.patterns import Patterns, compile_patterns

GLOBS = st.lists(st.text("ab*?[]!-c\n\U0001f600", max_size=8), max_size=6)


@given(GLOBS, st.text("ab[]!-c\n\U0001f600", max_size=8))
@example(["[!]", "[]a]", "[!]a]", "[", "a[", "**", ""], "a]")
@example(["a*", "ab*", "b"], "abc")
@example(["*a", "b?", "*"], "")
@settings(max_examples=1000)
def test_they_are_those_of_the_standard_library(globs: list[str], name: str) -> None:
    assert Patterns(globs).match(name) == any(fnmatchcase(name, glob) for glob in globs)


@given(st.sets(st.text("ab", max_size=4), max_size=8), st.text("ab", max_size=6))
def test_prefixes(prefixes: set[str], name: str) -> None:
    assert Patterns(f"{prefix}*" for prefix in prefixes).match(name) == name.startswith(tuple(prefixes))


def test_more_characters_than_it_remembers() -> None:
    patterns = Patterns(["*[!x]?z", "é*ü"])
    for number in range(3000):
        assert patterns.match(f"a{chr(0x4E00 + number)}bz")
    assert len(patterns._automaton._characters) < 200  # type: ignore[union-attr]
    assert patterns.match("éaü")


def cpu(work: object) -> float:
    """Return the least CPU seconds that `work` takes, of three tries."""
    spent = []
    for _ in range(3):
        start = time.thread_time()
        work()  # type: ignore[operator]
        spent.append(time.thread_time() - start)
    return min(spent)


@pytest.mark.parametrize(
    ("globs", "name"),
    [
        # As many patterns as a token has room for: some 6,000 characters.
        (tuple(f"*a{number:03}*" for number in range(MAX_PATTERNS)), "a00" * 85),
        (("*a" * 128,) * 20, "a" * 256),
        (tuple("*a" * 100 + "b" * number for number in range(30)), "a" * 256),
        (tuple("?*" * 100 + "x" * number for number in range(30)), "a" * 256),
        (tuple("[a-z]*" * 40 + "9" * number for number in range(25)), "a" * 256),
    ],
)
def test_the_worst_costs_a_bounded_time(globs: tuple[str, ...], name: str) -> None:
    patterns = compile_patterns(globs)
    patterns.match(name)
    assert cpu(lambda: [patterns.match(name) for _ in range(10)]) / 10 < 0.001


def test_a_thousand_patterns_cost_what_one_does() -> None:
    globs = tuple(f"team-{number}-*" for number in range(MAX_PATTERNS))
    names = [f"room:{number}" for number in range(1000)]
    many, one = compile_patterns(globs), compile_patterns(globs[:1])
    assert cpu(lambda: [many.match(name) for name in names]) < 5 * cpu(lambda: [one.match(name) for name in names])
    assert many.match("team-999-x")
    assert not many.match("team-1000-x")
