"""Patterns against the standard library's, one by one, and what the worst of them may cost."""

from __future__ import annotations

import re
import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hubbub.auth.claims import MAX_PATTERNS
from hubbub.auth.patterns import Patterns, compile_patterns

pytestmark = pytest.mark.alone

SETS = st.builds(lambda inside: f"[{inside}]", st.text("!-abcxyz]\\^&~|[é", min_size=1, max_size=9))
GLOBS = st.lists(st.text("ab*?[]!-c\n\U0001f600", max_size=8), max_size=6)


@given(GLOBS, st.text("ab[]!-c\n\U0001f600", max_size=8))
@example(["[!]", "[]a]", "[!]a]", "[", "a[", "**", ""], "a]")
@example(["a*", "ab*", "b"], "abc")
@example(["*a", "b?", "*"], "")
@settings(max_examples=1000)
def test_they_are_those_of_the_standard_library(globs: list[str], name: str) -> None:
    assert Patterns(globs).match(name) == any(fnmatchcase(name, glob) for glob in globs)


@given(
    st.lists(st.one_of(SETS, st.sampled_from(["*", "?", "a"])), max_size=4).map("".join),
    st.text("!-abmxyz]\\^&~|[é", max_size=3),
)
@example("[!z-a]", "q")
@example("[z-a]", "z")
@example("[b-ac-d]", "c")
@example("[a-]", "-")
@example("[--0]", ".")
@settings(max_examples=2000, deadline=None)  # other processes may take the CPU
def test_sets_are_those_of_the_standard_library(glob: str, name: str) -> None:
    # `fnmatch` takes a "!" behind an empty range at the beginning for a negation, see the next test.
    assume(not re.search(r"\[[^!][^]]*!", glob))
    assert Patterns([glob]).match(name) == fnmatchcase(name, glob)


@pytest.mark.parametrize("glob", ["[x!]", "[b-ax!]", "[b-a!x]", "[!z-a]", "[x-x!-!]"])
def test_only_an_exclamation_mark_at_the_beginning_negates(glob: str) -> None:
    matched = {name for name in "!xb-q" if Patterns([glob]).match(name)}
    assert matched == (set("!xb-q") if glob.startswith("[!") else {"!", "x"})


@given(st.sets(st.text("ab", max_size=4), max_size=8), st.text("ab", max_size=6))
def test_prefixes(prefixes: set[str], name: str) -> None:
    assert Patterns(f"{prefix}*" for prefix in prefixes).match(name) == name.startswith(tuple(prefixes))


def test_more_characters_than_it_remembers() -> None:
    patterns = Patterns(["*[!x]?z", "é*ü"])
    for number in range(3000):
        assert patterns.match(f"a{chr(0x4E00 + number)}bz")
    assert len(patterns._automaton._characters) < 700  # type: ignore[union-attr]
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
        (tuple(f"[!{chr(number)}]" * 2 for number in range(1000, 1500)), "ab" * 128),
    ],
)
def test_the_worst_costs_a_bounded_time(globs: tuple[str, ...], name: str) -> None:
    patterns = compile_patterns(globs)
    patterns.match(name)
    assert cpu(lambda: [patterns.match(name) for _ in range(10)]) / 10 < 0.001


def test_compiling_and_unknown_characters_cost_a_bounded_time() -> None:
    globs = tuple(f"*[{chr(number)}-{chr(number + 9)}]" for number in range(0x4E00, 0x4E00 + 900))
    name = "".join(chr(0x5200 + number) for number in range(256))
    assert cpu(lambda: Patterns(globs)) < 0.02
    patterns = Patterns(globs)
    assert cpu(lambda: patterns.match(name)) < 0.06


def test_a_thousand_patterns_cost_what_one_does() -> None:
    globs = tuple(f"team-{number}-*" for number in range(MAX_PATTERNS))
    names = [f"room:{number}" for number in range(1000)]
    many, one = compile_patterns(globs), compile_patterns(globs[:1])
    assert cpu(lambda: [many.match(name) for name in names]) < 5 * cpu(lambda: [one.match(name) for name in names])
    assert many.match("team-999-x")
    assert not many.match("team-1000-x")
