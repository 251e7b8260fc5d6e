"""Inputs as recipes: what is slow is hardly ever random, it is something short that is repeated up to the limit.

A recipe is short to print, and shrinks to the piece that matters. Those that broke a budget once are kept in
``tests/vectors/slow_inputs.json`` and tried in every run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

CORPUS = Path(__file__).parents[1] / "vectors" / "slow_inputs.json"

SIZES = (0, 64, 700, 8_192, 65_536, 131_072)
"""Bytes that the repeated part may have."""


class Recipe(NamedTuple):
    """``before``, ``unit`` again and again, ``middle``, ``close`` as often as the unit, ``after``."""

    before: bytes
    unit: bytes
    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs here
    middle: bytes
    close: bytes
    after: bytes

    def data(self, limit: int) -> bytes:
        """Return the input, with as many repetitions as fit into `limit` bytes."""
        fixed = len(self.before) + len(self.middle) + len(self.after)
        each = len(self.unit) + len(self.close)
        count = min(self.count, max(0, (limit - fixed) // each)) if each else 0
        parts = (self.before, self.unit * count, self.middle, self.close * count, self.after)
        return b"".join(parts)[:limit]

    def row(self) -> list[str | int]:
        """Return it as JSON can carry it."""
        return [part.decode("latin-1") if isinstance(part, bytes) else part for part in self]


def recipes(frames: list[tuple[bytes, bytes]], pieces: list[bytes]) -> st.SearchStrategy[Recipe]:
    """Return recipes that begin and end with one of `frames` and repeat up to four of `pieces`."""
    few = st.lists(st.sampled_from(pieces), max_size=4).map(b"".join)

    def recipe(
        around: tuple[bytes, bytes], unit: bytes, size: int, middle: bytes, close: bytes, noise: bytes
    ) -> Recipe:
        count = size // max(1, len(unit) + len(close))
        return Recipe(around[0] + noise, unit, count, middle, close, around[1])

    return st.builds(
        recipe,
        st.sampled_from(frames),
        few,
        st.sampled_from(SIZES),
        few,
        st.sampled_from([b"", b"", b"]", b"}", b'"', b"0]"]),
        st.sampled_from([b"", b"", b"", *pieces]),
    )


def corpus() -> dict[str, list[Recipe]]:
    """Return the recipes that broke a budget once, by the name of what they were for."""
    kept: dict[str, list[list[str | int]]] = json.loads(CORPUS.read_text())
    return {
        name: [Recipe(*(part.encode("latin-1") if isinstance(part, str) else part for part in row)) for row in rows]  # type: ignore[arg-type]
        for name, rows in kept.items()
    }


def keep(name: str, recipe: Recipe) -> None:
    """Add a recipe to the corpus, unless it is there."""
    kept = json.loads(CORPUS.read_text())
    rows = kept.setdefault(name, [])
    if recipe.row() not in rows:
        rows.append(recipe.row())
        lines = [
            f"  {json.dumps(name)}: [\n    " + ",\n    ".join(map(json.dumps, rows)) + "\n  ]"
            for name, rows in sorted(kept.items())
        ]
        CORPUS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
