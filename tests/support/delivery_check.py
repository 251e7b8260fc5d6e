"""Judges what a client's callback received. It uses neither a server nor our code, only the posts and the events."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class Verdict(NamedTuple):
    """What is wrong with one history; all zero is well."""

    lost: int
    """Messages that neither came nor lie in a gap that was told."""
    doubled: int
    disordered: int


def judge(heard: Iterable[tuple[int, object]], gaps: Iterable[tuple[int, int]], first: int, last: int) -> Verdict:
    """Hold a history against what a listener was owed.

    Args:
        heard: Number and content of each message, as the callback got them.
        gaps: From which number to which messages were said to be missing, both included.
        first: The number of the first message owed.
        last: And of the last one.
    """
    numbers = [number for number, _ in heard]
    told = {number for begin, end in gaps for number in range(begin, end + 1)}
    lost = set(range(first, last + 1)) - set(numbers) - told
    disordered = sum(later < earlier for earlier, later in pairwise(numbers))
    return Verdict(len(lost), len(numbers) - len(set(numbers)), disordered)
