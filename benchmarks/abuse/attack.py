"""What the attacks share: a real server in a process of its own, an observer in another, verdicts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from observer_process import Observer as Observer

SERVER_CPU, LOAD_CPU = 0, 1

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends with us


def pin(cpu: int) -> None:
    """Keep this process on one core, where that is possible and there is more than one."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {cpu})


class Server:
    """``hubbub serve`` as people run it: its defaults, and the flags given; on a core of its own."""

    def __init__(self, *flags: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "hubbub.cli", "serve", "--config", os.devnull, "--port", str(port), *flags]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env=environment, preexec_fn=lambda: pin(SERVER_CPU)
        )
        assert self.process.stdout is not None
        address = re.search(rb":(\d+)", self.process.stdout.readline())
        if address is None:
            sys.exit("the server did not start")
        self.port = int(address[1])
        self.pid = self.process.pid

    def rss(self) -> int:
        """Return the bytes of memory in use now."""
        return int(self._status("VmRSS")) * 1024

    def peak(self) -> int:
        """Return the most bytes of memory that were in use since `forget_peak`."""
        return int(self._status("VmHWM")) * 1024

    def forget_peak(self) -> None:
        """Begin to look for the peak anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> str:
        found = re.search(rf"{name}:\s*(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return found[1]

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self) -> dict[str, float]:
        """Return what the server says of itself, as ``{"hubbub_closes_total{code=\"4005\"}": 3.0, …}``."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def kill(self) -> None:
        """FakeLink it at once."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


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
