"""Patterns of group names for hooks, such as ``"team-{team}"``, and which of several is used for a name. Pure.

A pattern is text with names in braces. Each name stands for one character or more; ``{{`` and ``}}`` stand for the
braces themselves. Several patterns can match a group. The most specific one wins:

1. the pattern with more literal characters,
2. of these the one with more literal characters before its first name,
3. of these the one with fewer names,
4. of these the one that was registered first.

So ``"team-{team}-staff"`` wins over ``"team-{team}"``, and that over a hook without a pattern, which is for every
group. Names are matched from left to right, each as short as possible and the last one as long as it must be. A match
takes time in proportion to the length of the group's name: there is no backtracking.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hubbub.hub.types import HookError

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Rank(NamedTuple):
    """How specific a pattern is: the greater one wins."""

    literals: int
    prefix: int
    fewer_names: int


class Pattern:
    """A pattern of group names.

    Args:
        text: As above; None for every group.

    Attributes:
        text: The same, or ``""`` for every group.
        names: The names in braces, in order.

    Raises:
        HookError: A brace without a partner, a name that is no Python identifier or occurs twice, two names without
            text between them, a ``*``, or no text at all.
    """

    __slots__ = ("_literals", "names", "text")

    def __init__(self, text: str | None) -> None:
        self.text = text or ""
        self.names: tuple[str, ...] = ()
        self._literals: list[str] | None = None
        if text is None:
            return
        if not isinstance(text, str) or not text:
            raise HookError(f'A pattern is text such as "team-{{team}}", not {text!r}. Leave it out for every group.')
        if "*" in text:
            raise HookError(f'The pattern {text!r} has a "*". Write a name in braces instead, such as "team-{{team}}".')
        self._literals, names = _parse(text)
        self.names = tuple(names)

    @property
    def rank(self) -> Rank:
        """How specific it is."""
        if self._literals is None:
            return Rank(-1, 0, 0)
        return Rank(sum(map(len, self._literals)), len(self._literals[0]), -len(self.names))

    @property
    def shape(self) -> tuple[str, ...] | None:
        """What it matches: patterns with the same shape match the same groups, whatever their names are."""
        return None if self._literals is None else tuple(self._literals)

    def match(self, group: str) -> dict[str, str] | None:
        """Return what each name stands for in `group`; None if the pattern does not match all of it."""
        literals = self._literals
        if literals is None:
            return {}
        if not self.names:
            return {} if group == literals[0] else None
        if not group.startswith(literals[0]):
            return None
        begin, found = len(literals[0]), []
        for literal in literals[1:-1]:
            end = group.find(literal, begin + 1)
            if end < 0:
                return None
            found.append(group[begin:end])
            begin = end + len(literal)
        end = len(group) - len(literals[-1])
        if end <= begin or not group.endswith(literals[-1]):
            return None
        found.append(group[begin:end])
        return dict(zip(self.names, found, strict=True))


def _parse(text: str) -> tuple[list[str], list[str]]:
    """Return the literal texts, one more than there are names, and the names."""
    literals, names, end = [""], list[str](), 0
    for token in _TOKEN.finditer(text):
        literals[-1] += text[end : token.start()]
        end = token.end()
        name = token[1]
        if token[0] in {"{{", "}}"}:
            literals[-1] += token[0][0]
        elif name is None:
            raise HookError(
                f"The pattern {text!r} has a single {token[0]!r}. Close it, or double it to mean the character."
            )
        elif not name.isidentifier():
            raise HookError(f"The pattern {text!r} has {{{name}}}. The text in braces is the name of a parameter.")
        elif name in names:
            raise HookError(f"The pattern {text!r} has {{{name}}} twice. Give the names different names.")
        elif names and not literals[-1]:
            raise HookError(f"The pattern {text!r} has {{{names[-1]}}}{{{name}}}. Put text between the two names.")
        else:
            names.append(name)
            literals.append("")
    literals[-1] += text[end:]
    return literals, names
