"""``make compare`` in small: the statistics, the table, and one short run of real servers."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.store import Store

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "compare"))

from compare import Comparison
from figures import Sample, Spread, ratios, sample, spread
from loads import LOADS, Load
from table import OURS, Rounds, report

LOAD = Load(title="a load", options=())
TINY = Load(title="tiny", options=("--conns", "20", "--groups", "4", "--pubs", "2", "--window", "1", "--pad", "10"))
IDLE = Load(
    title="idle", options=("--conns", "20", "--groups", "2", "--pubs", "1"), figure="connects_per_second", idle=True
)

rates = st.floats(1, 1e6)


def test_a_sample_is_what_the_generator_reports() -> None:
    line = {
        "conns": 100, "refused": 1, "closed": 2, "connect_s": 0.5, "delivered_per_s": 1000.0, "p50_ms": 1, "p99_ms": 2,
        "gaps": 3, "dups": 4, "gen_cpu": 0.3, "srv_cpu": 0.25,
    }  # fmt: skip
    found = sample(line, before_kb=5000, after_kb=5300)
    assert (found.per_cpu_second, found.wrong, found.connects_per_second, found.kb_per_connection) == (4000, 10, 200, 3)


def test_a_server_without_measured_cpu_time_has_no_figure() -> None:
    assert Sample(delivered=1).per_cpu_second == 0


@given(st.lists(rates, min_size=1))
def test_the_median_is_within_its_spread(values: list[float]) -> None:
    found = spread(values)
    assert found.least <= found.median <= found.greatest
    assert {found.least, found.greatest} <= set(values)


@given(st.lists(st.tuples(rates, rates), min_size=1), st.booleans())
def test_a_ratio_is_the_inverse_of_the_other_way_round(pairs: list[tuple[float, float]], lower: bool) -> None:
    ours, theirs = zip(*pairs, strict=True)
    one = ratios(ours, theirs, lower_is_better=lower)
    other = ratios(theirs, ours, lower_is_better=lower)
    same = ratios(theirs, ours, lower_is_better=not lower)
    assert one is not None
    assert other is not None
    assert one == same
    assert one.least * other.greatest == pytest.approx(1)


def test_only_runs_of_the_same_round_are_compared() -> None:
    assert ratios([10, None, 40], [5, 1, 10], lower_is_better=False) == Spread(3, 2, 4)
    assert ratios([10], [20], lower_is_better=True) == Spread(2, 2, 2)
    assert ratios([None, 1], [1, None], lower_is_better=False) is None


def test_the_report_shows_ratios_spread_and_what_is_missing() -> None:
    def made(*rates: float) -> list[Sample | None]:
        return [Sample(delivered=rate, server_cpu=1.0, p50_ms=1, p99_ms=2) for rate in rates]

    rounds: Rounds = {
        OURS: made(200, 300, 400),
        "slow": made(100, 100, 100),
        "bad": [None, None, None],
        "odd": [*made(1), None],
    }
    text = report({"date": "today"}, [(LOAD, rounds)], {"gone": "its program is missing"})
    assert "| date | today |" in text
    assert "- **gone**: its program is missing" in text
    assert "| Hubbub | 300 (200 to 400) |  |" in text
    assert "| slow | 100 (100 to 100) | **3.00** (2.00 to 4.00) | 1.00 | 2.00 |" in text
    assert "| bad | failed |" in text
    assert "0, 1 of 2 runs failed |" in text


def test_every_load_compares_a_figure_of_a_sample() -> None:
    for load in LOADS.values():
        assert hasattr(Sample(), load.figure)


@pytest.mark.skipif(shutil.which("cc") is None, reason="!!! no C compiler here: make compare is not tried")
@pytest.mark.parametrize("on_store", [False, True])
def test_real_servers_are_measured(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], on_store: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / "compare"
    with ExitStack() as stack:
        store = f"redis://127.0.0.1:{stack.enter_context(Store()).port}/0" if on_store else None
        comparison = Comparison(folder, ["hubbub", "epoll", "centrifugo"], 0.5, store, brief=True)
        results = comparison.run(TINY, 1)
    assert next(iter(results)) == OURS
    assert ("raw epoll loop" in results) != on_store
    for (found,) in results.values():
        assert found is not None
        assert found.delivered > 0
        assert found.wrong == 0
        assert 0 < found.p50_ms <= found.p99_ms
    if shutil.which("centrifugo") is None:
        assert "centrifugo is left out" in capsys.readouterr().err
        assert "centrifugo" in comparison.left_out


@pytest.mark.skipif(shutil.which("cc") is None, reason="!!! no C compiler here: make compare is not tried")
def test_idle_connections_are_measured(tmp_path_factory: pytest.TempPathFactory) -> None:
    comparison = Comparison(tmp_path_factory.getbasetemp() / "compare", ["epoll"], 0.1, brief=True)
    (found,) = comparison.run(IDLE, 1)["raw epoll loop"]
    assert found is not None
    assert found.connects_per_second > 10
    assert found.wrong == 0
