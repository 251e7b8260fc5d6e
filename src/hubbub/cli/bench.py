"""``hubbub bench``: put load on a server and report throughput, latency and errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hubbub.auth.authenticator import make_token
from hubbub.cli.duration import Duration
from hubbub.cli.exposed_secrets import IN_PROCESS_LIST
from hubbub.cli.load.comparison import advice, compare_workers
from hubbub.cli.load.local_server import local_server
from hubbub.cli.load.run import Load, Plan, Progress, Report
from hubbub.cli.process.cores import usable_cores
from hubbub.cli.process.loop import run
from hubbub.cli.process.open_files import allow_open_files
from hubbub.errors import SettingsError
from hubbub.secret import read_secret

Count = Annotated[int, Parameter(validator=Number(gte=1))]


def bench(
    *,
    url: str | None = None,
    secret: Annotated[str | None, Parameter(env_var="HUBBUB_SECRET")] = None,
    secret_file: Annotated[str | None, Parameter(env_var="HUBBUB_SECRET_FILE")] = None,
    connections: Count = 500,
    groups: Count = 10,
    posters: Count = 10,
    size: Annotated[int, Parameter(validator=Number(gte=0))] = 100,
    duration: Annotated[Duration, Parameter(show_default=lambda _: "10s")] = 10.0,
    rate: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0,
    workers: int | Literal["auto"] | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Put load on a server and report throughput, latency and errors.

    Connects, spreads the connections over groups, posts from some of them, and
    checks that every member received every message once and in order:

        hubbub bench
        hubbub bench --connections 1000 --groups 1 --posters 10
        hubbub bench --rate 1000 --duration 1m
        hubbub bench --url https://chat.example.com --json

    Without --rate each poster posts again as soon as it has its reply, which
    measures throughput; use --rate to measure latency. A server that --url names
    applies its own limits: see its --rate-limit. Without --url, server and load
    share this machine's CPU cores.

    With --workers it runs twice, against a local server with one worker and with
    several, and says whether several are worth it for this load:

        hubbub bench --workers auto

    The exit code is 1 if a message was missing, duplicated, out of order or
    refused.

    Args:
        url: Address of the server. Default: a local server, started for this run.
        secret: The server's secret, to make tokens with; default: guests. Flags are visible to others: prefer a file.
        secret_file: File that contains the server's secret.
        connections: Connections, each of its own user.
        groups: Groups over which the connections are spread.
        posters: Connections that post.
        size: Bytes of a message, as JSON.
        duration: How long to post: 10s, 5m.
        rate: Posts per second of all posters together; 0 for as many as possible.
        workers: Compare one worker with so many; "auto" for one per core.
        json: Print the report as JSON.
    """
    if secret is not None and secret != os.environ.get("HUBBUB_SECRET"):
        print(f"hubbub: {IN_PROCESS_LIST['secret']}", file=sys.stderr)
    if secret_file is not None:
        secret = read_secret(secret_file, secret)
    plan = Plan(connections=connections, groups=groups, posters=posters, size=size, duration=duration, rate=rate)
    allow_open_files(connections + 100)
    if workers is not None:
        if url is not None:
            raise SettingsError("--workers starts local servers: leave out --url")
        several = max(2, usable_cores()) if workers == "auto" else workers
        if several < 2:
            raise SettingsError(f"--workers must be at least 2, not {several}: it compares them with one")
        return _compare(plan, several, json)
    with _progress_bar() as progress:
        report = run(_bench(url, secret, plan, progress))
    if json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        Console().print(_table(report))
    return 0 if report.passed else 1


def _compare(plan: Plan, workers: int, json: bool) -> int:
    found = run(compare_workers(plan, workers))
    said = advice(found, workers, usable_cores(), plan.rate)
    if json:
        every = {"1": found.one, str(workers): found.several, "advice": said}
        print(msgspec.json.format(msgspec.json.encode(every)).decode())
    else:
        console = Console()
        for name, report in (("1 worker", found.one), (f"{workers} workers", found.several)):
            console.print(name, style="bold")
            console.print(_table(report))
        console.print(said, soft_wrap=True)
    return 0 if found.one.passed and found.several.passed else 1


async def _bench(url: str | None, secret: str | None, plan: Plan, progress: Progress) -> Report:
    def identify(user: str) -> dict[str, str]:
        return {"guest": user} if url is None or secret is None else {"token": make_token(user, secret)}

    if url is not None:
        return await Load(url, plan, identify, progress).run()
    async with local_server(plan.connections) as server:
        return await Load(server.url, plan, identify, progress, server.cpu).run()


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """Show a progress bar for each phase in turn, if stderr is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with rich_progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task: TaskID = bar.add_task("starting", total=None)
        current = ""

        def progress(phase: str, done: float, total: float) -> None:
            nonlocal current
            if phase != current:
                current = phase
                bar.reset(task, description=phase)
            bar.update(task, completed=done, total=total)

        yield progress


def _table(report: Report) -> Table:
    table = Table(show_header=False, box=None)
    rows = {
        "connections": f"{report.connections:,}  ({report.connects_per_second:,.0f} per second)",
        "posts": f"{report.posts:,}  ({report.posts_per_second:,.0f} per second)",
        "deliveries": f"{report.deliveries:,}  ({report.deliveries_per_second:,.0f} per second)",
        "latency": f"p50 {_ms(report.latency_p50)}, p90 {_ms(report.latency_p90)}, p99 {_ms(report.latency_p99)}",
        "missing": f"{report.missing:,}",
        "out of order": f"{report.out_of_order:,}",
        "errors": ", ".join(f"{count:,} × {text}" for text, count in report.errors.items()) or "0",
    }
    if report.server_cpu:
        each = report.deliveries / report.server_cpu
        rows["server CPU"] = f"{report.server_cpu:.2f} s  ({each:,.0f} deliveries per CPU second)"
    for name, value in rows.items():
        wrong = (name == "missing" and report.missing) or (name == "out of order" and report.out_of_order)
        table.add_row(name, value, style="red" if wrong or (name == "errors" and report.errors) else "")
    return table


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
