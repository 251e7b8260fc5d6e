"""The report of a comparison as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from figures import Sample, Spread, ratios, spread
from loads import Load

OURS = "Hubbub"
"""The server that all others are compared with."""

Rounds = Mapping[str, Sequence[Sample | None]]
"""The samples of one load by server, one for each round; None where the run failed."""


def report(about: Mapping[str, str], results: Sequence[tuple[Load, Rounds]], left_out: Mapping[str, str]) -> str:
    """Return the whole report.

    Args:
        about: What was measured, when and on which machine.
        results: The samples of each load.
        left_out: The servers that were not measured, each with the reason.
    """
    lines = ["# Comparison", "", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in about.items())]
    if left_out:
        lines += ["", "Not measured:", "", *(f"- **{name}**: {reason}" for name, reason in left_out.items())]
    for load, rounds in results:
        lines += ["", *_section(load, rounds)]
    return "\n".join([*lines, ""])


def _section(load: Load, rounds: Rounds) -> Iterator[str]:
    yield f"## {load.title}"
    yield ""
    latency = "" if load.idle else " p50, ms | p99, ms | server's CPU | load's CPU |"
    yield f"| server | {load.unit} | {OURS} to it |{latency} wrong |"
    yield f"|---|---|---|{'' if load.idle else '---|---|---|---|'}---|"
    ours = _figures(load, rounds.get(OURS, ()))
    for name, samples in rounds.items():
        done = [each for each in samples if each is not None]
        values = [value for value in _figures(load, samples) if value]
        if not done or not values:
            yield f"| {name} | failed | |{'' if load.idle else ' | | | |'} |"
            continue
        times = None
        if name != OURS and len(ours) == len(samples):
            times = ratios(ours, _figures(load, samples), lower_is_better=load.lower_is_better)
        cells = [name, _number(spread(values)), _ratio(times)]
        if not load.idle:
            columns = [
                [getattr(each, name) for each in done] for name in ("p50_ms", "p99_ms", "server_cpu", "load_cpu")
            ]
            cells += [f"{spread(column).median:.2f}" for column in columns]
        cells.append(str(sum(each.wrong for each in done)))
        failed = len(samples) - len(done)
        yield f"| {' | '.join(cells)}{f', {failed} of {len(samples)} runs failed' if failed else ''} |"


def _figures(load: Load, samples: Sequence[Sample | None]) -> list[float | None]:
    return [None if each is None else getattr(each, load.figure) for each in samples]


def _number(found: Spread) -> str:
    form = ",.0f" if found.median >= 100 else ".2f"
    return f"{found.median:{form}} ({found.least:{form}} to {found.greatest:{form}})"


def _ratio(found: Spread | None) -> str:
    return "" if found is None else f"**{found.median:.2f}** ({found.least:.2f} to {found.greatest:.2f})"
