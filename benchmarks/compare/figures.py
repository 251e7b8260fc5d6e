"""What was measured, and how servers are compared: medians, and ratios of runs of the same round. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one load on one server. Rates are per second, latencies in milliseconds."""

    delivered: float = 0.0
    server_cpu: float = 0.0
    """CPU seconds of the server per second."""
    load_cpu: float = 0.0
    """The same of the generator: near 1, the generator is what limits."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    wrong: int = 0
    """Messages that were missing or duplicated, and connections that were refused or lost."""
    connects_per_second: float = 0.0
    kb_per_connection: float = 0.0

    @property
    def per_cpu_second(self) -> float:
        """Deliveries per CPU-second of the server; 0 if it used none that could be measured."""
        return self.delivered / self.server_cpu if self.server_cpu else 0.0


def sample(report: Mapping[str, float], before_kb: float = 0.0, after_kb: float = 0.0) -> Sample:
    """Return the sample in a report of the generator.

    Args:
        report: The line of JSON that it has printed.
        before_kb: The server's memory before anybody connected.
        after_kb: The server's memory while all are connected.
    """
    connections = report["conns"]
    return Sample(
        delivered=report.get("delivered_per_s", 0),
        server_cpu=report.get("srv_cpu", 0),
        load_cpu=report.get("gen_cpu", 0),
        p50_ms=report.get("p50_ms", 0),
        p99_ms=report.get("p99_ms", 0),
        wrong=int(sum(report.get(name, 0) for name in ("gaps", "dups", "refused", "closed"))),
        connects_per_second=connections / max(report["connect_s"], 0.01),
        kb_per_connection=max(0.0, after_kb - before_kb) / max(1, connections),
    )


@dataclass(frozen=True)
class Spread:
    """The median of some values, the least and the greatest of them."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(median(values), min(values), max(values))


def ratios(ours: Sequence[float | None], theirs: Sequence[float | None], *, lower_is_better: bool) -> Spread | None:
    """Return how many times better ours is, from the rounds in which both have a figure; None if there is none.

    Each ratio compares two runs of the same round, one shortly after the other, so that what slows the machine down for
    minutes concerns both.
    """
    found = [
        theirs_one / ours_one if lower_is_better else ours_one / theirs_one
        for ours_one, theirs_one in zip(ours, theirs, strict=True)
        if ours_one and theirs_one
    ]
    return spread(found) if found else None
