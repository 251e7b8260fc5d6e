"""The loads of a comparison: what the generator does, and which figure is compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Load:
    """One load.

    Attributes:
        title: How the report calls it.
        options: The options of the generator.
        figure: What is compared, a property of `figures.Sample`.
        unit: What the figure counts.
        lower_is_better: Whether a smaller figure is the better one.
        idle: Whether it only connects, and nothing is posted.
    """

    title: str
    options: tuple[str, ...]
    figure: str = "per_cpu_second"
    unit: str = "deliveries per CPU-second of the server"
    lower_is_better: bool = False
    idle: bool = False


def _posts(connections: int, groups: int, posters: int, padding: int) -> tuple[str, ...]:
    return (
        *("--conns", str(connections), "--groups", str(groups), "--pubs", str(posters), "--pad", str(padding)),
        *("--window", "1"),
    )


LOADS = {
    "large": Load(title="1 group of 1,000, 10 posters", options=_posts(1000, 1, 10, 50)),
    "medium": Load(title="20 groups of 100, 4 posters each, 1 KB", options=_posts(2000, 20, 4, 1000)),
    "small": Load(title="1,000 groups of 2, both post", options=_posts(2000, 1000, 2, 0)),
    "latency": Load(
        title="50 posts a second to a group of 1,000",
        options=("--conns", "1000", "--groups", "1", "--pubs", "10", "--pad", "50", "--rate", "50"),
        figure="p99_ms",
        unit="ms from post to delivery, p99",
        lower_is_better=True,
    ),
    "connects": Load(
        title="5,000 clients connect and join",
        options=("--conns", "5000", "--groups", "100", "--pubs", "1"),
        figure="connects_per_second",
        unit="handshakes a second",
        idle=True,
    ),
    "memory": Load(
        title="5,000 idle members in groups of 50",
        options=("--conns", "5000", "--groups", "100", "--pubs", "1"),
        figure="kb_per_connection",
        unit="kB of the server's memory per connection",
        lower_is_better=True,
        idle=True,
    ),
}
"""All loads, by the name that ``compare.py --loads`` takes."""

DELIVERY = ("large", "medium", "small")
"""The loads of ``make compare``."""
