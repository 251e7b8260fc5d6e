"""The same load on a server with one worker and on one with several, and what that says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import NamedTuple

from hubbub.cli.load.local_server import LocalServer, local_server
from hubbub.cli.load.run import Load, Plan, Report
from hubbub.cli.process.loop import run

WORTH = 1.2
"""How many times the deliveries of one worker make several worth it."""

BUSY = 0.8
"""From which share of a core on one worker counts as busy: below, it is not what limits."""


class Comparison(NamedTuple):
    """The reports of the two runs."""

    one: Report
    several: Report


async def compare_workers(plan: Plan, workers: int) -> Comparison:
    """Run `plan` against a local server with one worker, then against one with `workers`.

    Both times the load comes from as many processes, at most `workers`, each with its own part of the connections and
    groups.

    Raises:
        HubbubError: A server did not start, or no connection could be opened.
    """
    parts = split(plan, workers)
    reports = []
    for count in (1, workers):
        async with local_server(plan.connections, count) as server:
            reports.append(await _run_parts(server, parts))
    return Comparison(*reports)


def split(plan: Plan, most: int) -> list[Plan]:
    """Return at most `most` plans that are `plan` together; each has a group, a connection and a poster at least."""
    parts = max(1, min(most, plan.groups, plan.connections, plan.posters))
    return [
        replace(
            plan,
            connections=_share(plan.connections, parts, n),
            groups=_share(plan.groups, parts, n),
            posters=_share(plan.posters, parts, n),
            rate=plan.rate / parts,
        )
        for n in range(parts)
    ]


def merge(reports: Sequence[Report]) -> Report:
    """Return the report of runs that took place at the same time. Of latencies, the highest of the runs counts."""
    errors: Counter[str] = Counter()
    for report in reports:
        errors.update(report.errors)
    cpu = [report.server_cpu for report in reports if report.server_cpu is not None]
    return Report(
        connections=sum(report.connections for report in reports),
        connects_per_second=sum(report.connects_per_second for report in reports),
        seconds=max(report.seconds for report in reports),
        posts=sum(report.posts for report in reports),
        posts_per_second=sum(report.posts_per_second for report in reports),
        deliveries=sum(report.deliveries for report in reports),
        deliveries_per_second=sum(report.deliveries_per_second for report in reports),
        latency_p50=max(report.latency_p50 for report in reports),
        latency_p90=max(report.latency_p90 for report in reports),
        latency_p99=max(report.latency_p99 for report in reports),
        missing=sum(report.missing for report in reports),
        out_of_order=sum(report.out_of_order for report in reports),
        errors=dict(errors),
        server_cpu=max(cpu) if cpu else None,
    )


def advice(found: Comparison, workers: int, cores: int, rate: float) -> str:
    """Return what the comparison says: whether several workers are worth it for this load on this machine.

    Args:
        found: The reports.
        workers: How many workers the second server had.
        cores: How many cores server and load could use.
        rate: The posts per second of the plan; 0 for as many as possible.
    """
    one, several = found
    if not one.deliveries_per_second:
        return "Nothing was delivered, so there is nothing to compare."
    times = several.deliveries_per_second / one.deliveries_per_second
    measured = f"{workers} workers delivered {times:.1f} times as much as one"
    if times >= WORTH:
        return f"{measured}: they are worth it for this load."
    if not rate and cores < 2 * workers:  # then the load takes CPU time from the workers, and limits what they can do
        return (
            f"{measured}. The load needs as many cores as the workers, and there are {cores}: with {2 * workers}, or "
            "with the load on another machine, more may help."
        )
    if one.server_cpu is not None and one.server_cpu < BUSY * one.seconds:
        return (
            f"{measured}, which was busy for {one.server_cpu / one.seconds:.0%} of the time: one is enough for this "
            "load. More help when one is busy all the time."
        )
    return (
        f"{measured}: keep one. Workers share their groups through a store, which each post costs; they help where "
        "posts go to many members, or to many groups at once."
    )


async def _run_parts(server: LocalServer, parts: Sequence[Plan]) -> Report:
    with ProcessPoolExecutor(len(parts), get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        return merge(await asyncio.gather(*(loop.run_in_executor(pool, _run_part, server, part) for part in parts)))


def _run_part(server: LocalServer, plan: Plan) -> Report:
    """Run a part of the load, in a process of its own."""

    async def part() -> Report:
        return await Load(server.url, plan, lambda user: {"guest": user}, lambda *_: None, server.cpu).run()

    return run(part())


def _share(whole: int, parts: int, number: int) -> int:
    return whole // parts + (number < whole % parts)
