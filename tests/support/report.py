"""How attacks and benchmarks report: figures, whether the attack took place, and the exit code."""

from __future__ import annotations

import json
import sys
from typing import Any

from support.server_process import ServerProcess


def report(name: str, facts: dict[str, Any], checks: dict[str, bool]) -> int:
    """Print what was done and measured as one line of JSON; return the exit code, 1 if a check failed."""
    failed = [check for check, holds in checks.items() if not holds]
    print(json.dumps({"abuse": name, **facts, "failed": failed}))
    return 1 if failed else 0


def unharmed(server: ServerProcess) -> dict[str, bool]:
    """Return the checks that hold for every abuse."""
    log = "\n".join(server.log())
    return {"no traceback in the log": "Traceback" not in log, "alive": server.get("/healthz")[0] == 200}


class Verdict:
    """Collects figures and proofs, prints one line each, and says how the script ends."""

    def __init__(self, title: str) -> None:
        self._failed = False
        print(f"# {title}", flush=True)

    def proof(self, what: str, happened: bool) -> None:
        """Say whether the abuse took place; if it did not, the figures are worth nothing."""
        print(f"{'took place' if happened else 'DID NOT TAKE PLACE'}: {what}", flush=True)
        self._failed |= not happened

    def figure(self, what: str, measured: str, goal: str, met: bool) -> None:
        """Say what was measured."""
        print(f"{'met    ' if met else 'NOT MET'}  {what}: {measured} (goal {goal})", flush=True)

    def end(self) -> None:
        """Exit: 1 if some abuse did not take place."""
        sys.exit(1 if self._failed else 0)


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed (nearest rank); 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def ms(seconds: float) -> str:
    """Return `seconds` as text in milliseconds."""
    return f"{seconds * 1000:.1f} ms"


def mb(size: float) -> str:
    """Return bytes as text in MiB."""
    return f"{size / 1048576:.2f} MiB"
