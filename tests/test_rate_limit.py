"""The rate of a connection: how many commands it may send, and how many frames it may waste."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.rate_limit import WASTED_PER_COMMAND, RateLimit


def test_a_burst_is_allowed_at_once_then_the_limit_counts() -> None:
    rate = RateLimit(2.0, 3, now=100.0)
    assert [rate.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert not rate.take(100.4)
    assert rate.take(100.6)
    assert not rate.take(100.6)


def test_a_pause_saves_up_one_burst_and_no_more() -> None:
    rate = RateLimit(10.0, 5, now=0.0)
    assert sum(rate.take(1_000_000.0) for _ in range(20)) == 5


def test_no_limit() -> None:
    rate = RateLimit(0, 1, now=0.0)
    assert all(rate.take(0.0) for _ in range(1000))
    assert not any(rate.waste(0.0) for _ in range(1000))


def test_a_few_wasted_frames_are_forgiven() -> None:
    rate = RateLimit(2.0, 3, now=0.0)
    assert not any(rate.waste(0.0) for _ in range(WASTED_PER_COMMAND * 3))
    assert rate.waste(0.0)
    assert not rate.waste(0.0)  # counted anew after the connection was told


def test_wasted_frames_are_forgotten_at_a_multiple_of_the_limit() -> None:
    rate = RateLimit(2.0, 3, now=0.0)
    assert not any(rate.waste(second / (WASTED_PER_COMMAND * 2)) for second in range(1000))


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_no_interval_has_more_than_a_burst_and_the_limit(pauses: list[float], limit: int, burst: int) -> None:
    rate, now, taken = RateLimit(limit, burst, 0.0), 0.0, []
    for pause in pauses:
        now += pause
        if rate.take(now):
            taken.append(now)
    for first, began in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + limit * (taken[last] - began) + 1e-6
