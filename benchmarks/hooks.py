"""What a hook costs: deliveries per CPU-second of a server whose app has a no-op ``on_post``, and of one without hooks.

``python benchmarks/hooks.py [ROUNDS]`` prints medians of alternating rounds, and the share of the app without hooks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from hooks_app import CASES

from support.server_process import HUBBUB, LOAD_CPU, SERVER_CPU, ServerProcess, environment, pin

SECONDS = 3
GROUPS = 20


def rate(case: str, members: int) -> float:
    """Return the deliveries per CPU-second with `members` in each of 20 groups, one of which posts."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    os.environ["HOOK"] = case
    with ServerProcess("--app", "hooks_app:app", cpu=SERVER_CPU) as server:
        load = [*HUBBUB, "bench", "--url", server.url, "--json", "--duration", f"{SECONDS}s"]
        size = ["--connections", str(GROUPS * members), "--groups", str(GROUPS), "--posters", str(GROUPS)]
        before = server.cpu()
        ran = subprocess.run(
            [*load, *size],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
            preexec_fn=lambda: pin(LOAD_CPU),
        )
        deliveries: int = json.loads(ran.stdout)["deliveries"]
        return deliveries / (server.cpu() - before)


def main() -> None:
    """Print the results."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 5
    for members in (2, 20):
        found: dict[str, list[float]] = {case: [] for case in CASES}
        for _ in range(rounds):
            for case in CASES:
                found[case].append(rate(case, members))
        for case, rates in found.items():
            shares = [one / base for one, base in zip(rates, found[CASES[0]], strict=True)]
            print(f"groups of {members:2}: {case:25} {median(rates):9.0f} deliveries/CPU-s  {median(shares):.2f} x")


if __name__ == "__main__":
    main()
