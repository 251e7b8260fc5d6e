"""Everything that reads input, searched for the input that costs most for its size: time, memory kept, bytes said back.

``make test`` tries the inputs that broke a budget once, and searches a little, always in the same way. ``make fuzz``
searches for as many seconds as it is given, in ways that nobody tried, and adds what it finds to the corpus.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings, target

from fuzz.targets import TARGETS
from support.cost import kept_bytes, step, timed
from support.recipes import Recipe, corpus, keep, recipes

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long to search, in all; 0 for the quick form."""

EXAMPLES = 300 if SECONDS else 25


def broken(name: str, recipe: Recipe, note: Callable[[float, str], object] = lambda _share, _of: None) -> str:
    """Return which promise an input breaks, as a sentence; empty if it breaks none.

    `note` is told which share of the time and of the memory allowed it takes.
    """
    where = TARGETS[name]
    data = recipe.data(where.limit)
    call = where.prepare(data)
    if call is None:
        return ""
    _, said = call()  # for the first time: what is kept for next time is made now
    if len(said) > where.budget.answer:
        return f"{len(said)} bytes are said back to {len(data)}; {where.budget.answer} are allowed"
    took, allowed = timed(call, where.budget, len(data))
    note(took / allowed, "time")
    if took > allowed:
        return f"{len(data)} bytes take {took * 1e3:.2f} ms here, {took / len(data) / step():.1f} steps a byte"
    kept, _ = kept_bytes(lambda: call()[0])
    note(kept / (len(data) * where.budget.kept + where.budget.kept_base), "memory")
    if kept > len(data) * where.budget.kept + where.budget.kept_base:
        return f"{kept} bytes are kept of an input of {len(data)}"
    return ""


@pytest.mark.parametrize("name", TARGETS)
def test_what_broke_a_budget_once_breaks_it_no_more(name: str) -> None:
    problems = {str(recipe.row()): problem for recipe in corpus().get(name, []) if (problem := broken(name, recipe))}
    assert problems == {}


@pytest.mark.parametrize("name", TARGETS)
def test_no_piece_that_is_repeated_to_the_limit_costs_too_much(name: str) -> None:
    where = TARGETS[name]
    problems = []
    for before, after in where.frames:
        for piece in where.pieces:
            recipe = Recipe(before, piece, where.limit // len(piece), b"", b"", after)
            if problem := broken(name, recipe):
                problems.append(f"{recipe.row()}: {problem}")
                if SECONDS:
                    keep(name, recipe)
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_costs_more_than_its_size_allows(name: str) -> None:
    where = TARGETS[name]
    worst: list[Recipe] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not SECONDS,
        print_blob=False,
        phases=set(Phase) - {Phase.explain},  # which traces every line, and so makes everything slow
        suppress_health_check=list(HealthCheck),
    )
    @given(recipes(where.frames, where.pieces))
    def search(recipe: Recipe) -> None:
        problem = broken(name, recipe, lambda share, of: target(share, label=of))
        if problem:
            worst.append(recipe)
        assert problem == "", problem

    until = time.monotonic() + SECONDS / len(TARGETS)
    try:
        search()
        while time.monotonic() < until:
            search()
    except BaseException:
        if SECONDS and worst:
            keep(name, worst[-1])  # the shortest: hypothesis has made it as small as it could
        raise
