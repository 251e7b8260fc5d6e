"""Hubbub on a Valkey beside Hubbub in memory: deliveries per CPU-second of the node, in alternating runs.

    python benchmarks/store_pairs.py [small large medium steady] [--pairs N] [--seconds N] [--against SRC]

The node is on one core, the store and the load generator of ``make compare`` on another. Also prints the store's CPU
time for a post, and the node's memory in the end. With ``--against``, the folder ``src`` of another tree takes turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "compare"), str(HERE.parent / "tests")]

from figures import sample, spread  # noqa: E402
from loads import LOADS, Load  # noqa: E402
from peers import HUBBUB, Installer  # noqa: E402

from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, cpu_time, pin  # noqa: E402
from support.store import Store  # noqa: E402

WARM_UP = 1.0
"""Seconds of load before anything is measured."""

STEADY = Load(
    title="30,000 posts a second in 1,000 groups of 2",
    options=("--conns", "2000", "--groups", "1000", "--pubs", "2", "--rate", "30000"),
)
"""With ``--seconds 9``, and one second before, 300,000 posts: what the node keeps of them shows in its memory."""


@dataclass
class Run:
    """What one run has measured."""

    per_cpu_second: float
    p50_ms: float
    p99_ms: float
    store_us: float
    """CPU time of the store for a post, in microseconds."""
    mib: float
    """Resident memory of the node after the load."""
    wrong: int


def run(generator: Path, load: Load, seconds: float, source: Path | None, *, shared: bool) -> Run:
    """Run a load on a server, in memory or on a store, both of which exist for this run only."""
    os.environ["PYTHONPATH"] = "" if source is None else str(source.absolute())
    with ExitStack() as stack:
        store = stack.enter_context(Store()) if shared else None
        backend = () if store is None else ("--backend", store.url())
        server = stack.enter_context(
            ServerProcess("--rate-limit", "0", "--log-level", "error", *backend, cpu=SERVER_CPU)
        )
        command = [str(generator), "--port", str(server.port), *load.options, *HUBBUB, "--cpu-pid", str(server.pid)]
        command += ["--warmup", str(WARM_UP), "--duration", str(seconds), "--drain", "0.2", "--settle", "0.2"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while not server.metric("hubbub_messages_published"):
                time.sleep(0.05)
            began = (0.0 if store is None else cpu_time(store.pid), server.metric("hubbub_messages_published"))
            time.sleep(WARM_UP + 0.8 * seconds)
            ended = (0.0 if store is None else cpu_time(store.pid), server.metric("hubbub_messages_published"))
            line = process.stdout.readline()
            found = sample(json.loads(line), 0.0, _memory(server.pid))
    spent, posts = (after - before for after, before in zip(ended, began, strict=True))
    memory = found.kb_per_connection * json.loads(line)["conns"] / 1024
    return Run(found.per_cpu_second, found.p50_ms, found.p99_ms, spent / posts * 1e6, memory, found.wrong)


def _memory(pid: int) -> float:
    return float(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loads", nargs="*", choices=[[], "large", "medium", "small", "steady"], default=["small"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", choices=["memory", "store"], help="leave the other out")
    parser.add_argument("--against", type=Path, help="the folder src of another tree, which is measured too")
    given = parser.parse_args()
    pin(LOAD_CPU)
    generator = Installer(Path(tempfile.gettempdir(), "hubbub-store-pairs")).compile(HERE / "compare" / "load.c")
    ways = [
        (source, shared)
        for source in ([None] if given.against is None else [None, given.against])
        for shared in (False, True)
        if given.only != ("memory" if shared else "store")
    ]
    for name in given.loads:
        load, found = STEADY if name == "steady" else LOADS[name], {way: list[Run]() for way in ways}
        for turn in range(given.pairs):
            for source, shared in ways[:: 1 if turn % 2 else -1]:
                found[source, shared].append(run(generator, load, given.seconds, source, shared=shared))
        print(f"# {load.title}: {given.pairs} rounds of {given.seconds:g} s")
        first = found[ways[0]]
        for (source, shared), runs in found.items():
            rates = spread([each.per_cpu_second / 1000 for each in runs])
            ratio = spread(
                [each.per_cpu_second / other.per_cpu_second for each, other in zip(runs, first, strict=True)]
            )
            print(
                f"{source or 'this tree'}, {'store ' if shared else 'memory'}: "
                f"{rates.median:,.0f} thousand ({rates.least:,.0f} to {rates.greatest:,.0f}), "
                f"to the first {ratio.median:.2f} ({ratio.least:.2f} to {ratio.greatest:.2f}); "
                f"p50 {spread([each.p50_ms for each in runs]).median:.2f} ms, "
                f"p99 {spread([each.p99_ms for each in runs]).median:.2f} ms; "
                f"store {spread([each.store_us for each in runs]).median:.1f} us a post; "
                f"{spread([each.mib for each in runs]).median:.0f} MiB; wrong {sum(each.wrong for each in runs)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
