"""Compiles glob patterns into one matcher with bounded cost, whatever the patterns are. Pure.

A token may have 1,000 patterns, and a page of the directory tests thousands of names. So patterns without wildcards
become a set, those whose only wildcard is a ``*`` at the end a sorted list of prefixes, and all others one automaton
whose states are the bits of an integer (the Shift-And algorithm of Baeza-Yates and Gonnet): each character of a name
costs a few operations on that integer. There is no backtracking.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

REMEMBERED = 65_536
"""Bytes, about, that an automaton uses to cache transitions by character; others are computed each time."""

SMALL = 256
"""Most characters of a small list of patterns. Nearly all are small, and each user may have a different one."""

_WILDCARD = re.compile(r"[*?\[]")


class Patterns:
    """Tells whether one of the patterns matches a whole name.

    Args:
        globs: Patterns as in `fnmatch`: ``*``, ``?``, ``[abc]``, ``[!abc]``. They are case-sensitive.
    """

    __slots__ = ("_automaton", "_exact", "_prefixes")

    def __init__(self, globs: Iterable[str]) -> None:
        exact: set[str] = set()
        prefixes: set[str] = set()
        others: set[str] = set()
        for glob in globs:
            wildcard = _WILDCARD.search(glob)
            if wildcard is None:
                exact.add(glob)
            elif not glob[wildcard.start() :].strip("*"):
                prefixes.add(glob[: wildcard.start()])
            else:
                others.add(glob)
        self._exact = frozenset(exact)
        self._prefixes = _shortest(prefixes)
        self._automaton = _Automaton(others) if others else None

    def match(self, name: str) -> bool:
        """Return whether one of the patterns matches all of `name`."""
        if name in self._exact:
            return True
        prefixes = self._prefixes
        # No prefix begins with another one, so only the last one that is not after the name can match.
        if prefixes and (place := bisect_right(prefixes, name)) and name.startswith(prefixes[place - 1]):
            return True
        return self._automaton is not None and self._automaton.match(name)


class _Set(NamedTuple):
    """A ``[…]``: the characters and ranges in it, and whether it matches those or all others."""

    singles: set[str]
    ranges: list[tuple[str, str]]
    negated: bool


class _Automaton:
    """All patterns at once. Bit *i* of the states says that a pattern has been matched up to its part *i*.

    A part matches one character. After the last part of each pattern there is one more state, its end. A ``*`` is not a
    part but a mark on the state that follows it: that state is kept, whatever the character is.
    """

    __slots__ = (
        "_any", "_begin", "_but", "_but_ranges", "_characters", "_end", "_most", "_stay", "_takes_one", "_takes_ranges",
    )  # fmt: skip

    def __init__(self, globs: Iterable[str]) -> None:
        self._characters: dict[str, int] = {}
        # Lists of states: as an integer, each would be as large as all patterns.
        self._takes_one: dict[str, list[int]] = {}
        self._takes_ranges: list[tuple[str, str, int]] = []
        self._but: dict[str, list[int]] = {}  # those of `_any` that do not match the character
        self._but_ranges: list[tuple[str, str, int]] = []
        begin: list[int] = []
        end: list[int] = []
        stay: list[int] = []
        wild: list[int] = []
        state = 0
        for glob in globs:
            begin.append(state)
            for part in _parts(glob):
                if part == "*":
                    stay.append(state)
                    continue
                members = _Set(set(), [], negated=True) if part == "?" else _parse_set(part)
                if members.negated:
                    wild.append(state)
                ones = self._but if members.negated else self._takes_one
                for character in members.singles:
                    ones.setdefault(character, []).append(state)
                ranges = self._but_ranges if members.negated else self._takes_ranges
                ranges += [(low, high, state) for low, high in members.ranges]
                state += 1
            end.append(state)
            state += 1
        self._begin, self._end, self._stay, self._any = (_bits(states) for states in (begin, end, stay, wild))
        self._most = REMEMBERED // (100 + state // 8)

    def match(self, name: str) -> bool:
        """Return whether a pattern has reached its end after the last character of `name`."""
        states, stay, characters = self._begin, self._stay, self._characters
        for character in name:
            takes = characters.get(character)
            if takes is None:
                takes = self._takes(character)
            states = (states & takes) << 1 | (states & stay)
            if not states:
                return False
        return states & self._end != 0

    def _takes(self, character: str) -> int:
        """Return the states whose next part matches `character`."""
        takes = [state for low, high, state in self._takes_ranges if low <= character <= high]
        but = [state for low, high, state in self._but_ranges if low <= character <= high]
        takes_one, but_one = self._takes_one.get(character, []), self._but.get(character, [])
        found = (self._any & ~_bits(but + but_one)) | _bits(takes + takes_one)
        if len(self._characters) < self._most:
            self._characters[character] = found
        return found


def escape_group(name: str) -> str:
    """Return a pattern that matches only the group `name`, for the claims and `User` fields ``groups`` and ``post``.

    Use it for every name that comes from somebody else: a table called ``*`` would otherwise open every table.
    """
    return _WILDCARD.sub(r"[\g<0>]", name)


def compile_patterns(globs: tuple[str, ...]) -> Patterns:
    """Return the matcher of `globs`. The most recent ones are cached, fewer of the large ones."""
    return _compile_small(globs) if sum(map(len, globs)) + len(globs) <= SMALL else _compile_large(globs)


@lru_cache(maxsize=512)
def _compile_small(globs: tuple[str, ...]) -> Patterns:
    return Patterns(globs)


@lru_cache(maxsize=32)
def _compile_large(globs: tuple[str, ...]) -> Patterns:
    return Patterns(globs)


def _shortest(prefixes: set[str]) -> list[str]:
    """Return the prefixes in order, without those that begin with another prefix."""
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


def _bits(states: list[int]) -> int:
    """Return the integer with these bits set. Setting them one by one would copy the integer each time."""
    if not states:
        return 0
    row = bytearray(max(states) // 8 + 1)
    for state in states:
        row[state // 8] |= 1 << state % 8
    return int.from_bytes(row, "little")


def _parts(glob: str) -> Iterable[str]:
    """Split a pattern as `fnmatch` does; a ``[`` without a ``]`` matches only itself."""
    place, size = 0, len(glob)
    while place < size:
        character = glob[place]
        end = place + 1
        if character == "[":
            close = end + (glob[end : end + 1] == "!")
            close += glob[close : close + 1] == "]"
            close = glob.find("]", close)
            if close >= 0:
                end = close + 1
        yield glob[place:end]
        place = end


def _parse_set(part: str) -> _Set:
    """Return what a part other than ``*`` and ``?`` matches.

    As in `fnmatch`, a hyphen at either end matches only itself, and a reversed range is empty. Unlike there, a ``!``
    after an empty range does not negate the set.
    """
    if len(part) == 1:
        return _Set({part}, [], negated=False)
    body = part[1:-1]
    negated = body.startswith("!")
    body = body[negated:]
    chunks: list[str] = []  # between the hyphens of ranges
    begin = 0
    hyphen = body.find("-", 1)
    while hyphen >= 0:
        chunks.append(body[begin:hyphen])
        begin = hyphen + 1
        hyphen = body.find("-", hyphen + 3)
    if begin < len(body) or not chunks:
        chunks.append(body[begin:])
    else:
        chunks[-1] += "-"
    ranges = [(one[-1], other[0]) for one, other in pairwise(chunks) if one[-1] <= other[0]]
    last = len(chunks) - 1
    singles = {
        character
        for number, chunk in enumerate(chunks)
        for character in chunk[number > 0 : len(chunk) - (number < last)]
    }
    return _Set(singles, ranges, negated)
