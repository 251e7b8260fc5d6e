"""Patterns of group names: what they match, which is the most specific one, and what is no pattern."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.hub.patterns import Pattern
from hubbub.hub.types import HookError


@pytest.mark.parametrize(
    ("text", "group", "found"),
    [
        ("team-{team}", "team-red", {"team": "red"}),
        ("team-{team}", "team-", None),
        ("team-{team}", "a team-red", None),
        ("{a}-{b}", "x-y-z", {"a": "x", "b": "y-z"}),
        ("{a}-{b}", "--", None),
        ("{a}-{b}", "---", {"a": "-", "b": "-"}),
        ("{kind}:{id}:chat", "order:7:chat", {"kind": "order", "id": "7"}),
        ("{kind}:{id}:chat", "order:7:chats", None),
        ("lobby", "lobby", {}),
        ("lobby", "lobby2", None),
        ("{{x}}-{y}", "{x}-1", {"y": "1"}),
        ("team-{team}", "team-a/b é\n", {"team": "a/b é\n"}),
        (None, "anything", {}),
    ],
)
def test_what_a_pattern_matches(text: str | None, group: str, found: dict[str, str] | None) -> None:
    assert Pattern(text).match(group) == found


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "Leave it out"),
        ("team-*", "name in braces"),
        ("team-{", "single '{'"),
        ("team-}", "single '}'"),
        ("{}", "name of a parameter"),
        ("{a b}", "name of a parameter"),
        ("{a}-{a}", "twice"),
        ("{a}{b}", "text between"),
        (7, 'text such as "team-{team}"'),
    ],
)
def test_what_is_no_pattern(text: str, hint: str) -> None:
    with pytest.raises(HookError, match=re.escape(hint)):
        Pattern(text)


def test_the_most_specific_pattern_wins() -> None:
    texts = ["team-{team}-staff", "team-{team}", "t{a}eam-", "{a}-{b}", "{any}", None]
    ranks = [Pattern(text).rank for text in texts]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == len(ranks)


literal = st.text(alphabet="ab-", max_size=3)


@given(st.lists(literal, min_size=1, max_size=4), st.text(alphabet="ab-c", max_size=12))
def test_matching_agrees_with_a_regular_expression(literals: list[str], group: str) -> None:
    literals = [text if index in {0, len(literals) - 1} else text or "-" for index, text in enumerate(literals)]
    names = [f"n{index}" for index in range(len(literals) - 1)]
    text = literals[0] + "".join(f"{{{name}}}{rest}" for name, rest in zip(names, literals[1:], strict=True))
    if not text:
        return
    oracle = re.escape(literals[0]) + "".join(
        f"(?P<{name}>.+?){re.escape(rest)}" for name, rest in zip(names, literals[1:], strict=True)
    )
    found = re.fullmatch(oracle, group, re.DOTALL)
    assert Pattern(text).match(group) == (found.groupdict() if found else None)


def test_a_long_name_takes_no_long_time() -> None:
    pattern = Pattern("".join(f"{{n{number}}}a" for number in range(40)) + "!")
    assert pattern.match("a" * 100_000) is None
