"""The counters of a node."""

from __future__ import annotations

import pytest

from hubbub.counters import LAG_BOUNDS, Counters


@pytest.mark.parametrize(
    ("seconds", "place"),
    [(0.0, 0), (0.001, 0), (0.0011, 1), (2.5, len(LAG_BOUNDS) - 1), (2.6, len(LAG_BOUNDS)), (60.0, len(LAG_BOUNDS))],
)
def test_lag_is_counted_below_the_first_bound_that_holds_it(seconds: float, place: int) -> None:
    counters = Counters()
    counters.late(seconds)
    assert counters.lag[place] == sum(counters.lag) == 1
    assert counters.lag_sum == seconds


def test_everything_starts_at_zero() -> None:
    counters = Counters()
    numbers = (counters.posts, counters.published, counters.delivered, counters.privates, counters.queue_cuts)
    assert not any(numbers)
    assert not any([counters.commands, counters.refused, counters.closes, counters.requests])
    assert sum(counters.lag) == counters.lag_sum == 0
