"""One worker and several: how the load is divided, how reports become one, and what the comparison says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.cli.load.comparison import Comparison, advice, compare_workers, merge, split
from hubbub.cli.load.run import Plan, Report

counts = st.integers(1, 500)


def report(rate: float = 1.0, cpu: float | None = 10.0, errors: dict[str, int] | None = None) -> Report:
    return Report(
        connections=5, connects_per_second=1, seconds=10, posts=3, posts_per_second=1, deliveries=7,
        deliveries_per_second=rate, latency_p50=0.1 * rate, latency_p90=0.2, latency_p99=0.3, missing=1, out_of_order=2,
        errors=errors or {}, server_cpu=cpu,
    )  # fmt: skip


@given(counts, counts, counts, st.integers(1, 9))
def test_the_parts_are_the_whole(connections: int, groups: int, posters: int, most: int) -> None:
    plan = Plan(connections=connections, groups=groups, posters=posters, size=9, duration=2, rate=8)
    parts = split(plan, most)
    assert 1 <= len(parts) <= most
    for name in ("connections", "groups", "posters"):
        assert sum(getattr(part, name) for part in parts) == getattr(plan, name)
        assert min(getattr(part, name) for part in parts) >= 1
    assert sum(part.rate for part in parts) == pytest.approx(8)


def test_reports_of_one_time_become_one() -> None:
    merged = merge([report(1, 4, {"x": 1}), report(3, 5, {"x": 2, "y": 1})])
    assert (merged.connections, merged.deliveries_per_second, merged.missing, merged.out_of_order) == (10, 4, 2, 4)
    assert merged.latency_p50 == pytest.approx(0.3)
    assert merged.errors == {"x": 3, "y": 1}
    assert merged.server_cpu == 5  # each part has measured the same server
    assert merge([report(cpu=None)]).server_cpu is None


@pytest.mark.parametrize(
    ("one", "several", "cores", "rate", "says"),
    [
        (report(100), report(190), 2, 0, "1.9 times as much as one: they are worth it"),
        (report(100, cpu=3), report(100), 2, 50, "busy for 30% of the time: one is enough"),
        (report(100, cpu=3), report(100), 4, 0, "one is enough"),
        (report(100, cpu=3), report(110), 2, 0, "there are 2: with 4, or with the load on another machine"),
        (report(100), report(90), 4, 0, "0.9 times as much as one: keep one"),
        (report(100, cpu=None), report(90), 8, 0, "0.9 times as much as one: keep one"),
        (report(0), report(90), 8, 0, "Nothing was delivered"),
    ],
)
def test_what_the_comparison_says(one: Report, several: Report, cores: int, rate: float, says: str) -> None:
    assert says in advice(Comparison(one, several), 2, cores, rate)


async def test_both_servers_get_the_whole_load() -> None:
    plan = Plan(connections=20, groups=4, posters=4, size=50, duration=0.2, rate=50)
    for found in await compare_workers(plan, 2):
        assert found.passed
        assert found.connections == 20
        assert found.deliveries >= found.posts > 0
        assert found.server_cpu is not None
