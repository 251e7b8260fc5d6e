"""The launcher of ``hubbub serve``: a real server as a process of its own, and what can be seen of it from outside."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from support.waiting import PATIENCE

HUBBUB = (sys.executable, "-m", "hubbub.cli")
"""The command line, without arguments."""

SERVER_CPU, LOAD_CPU = 0, 1
"""The cores of the server and of its clients in a benchmark."""


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of this process without what Hubbub or rich would read, and with `variables`."""
    ours = ("HUBBUB_", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "COLUMNS": "100", **variables}


def pin(cpu: int) -> None:
    """Keep this process on one core, where the system can do that and has more than one."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {cpu})


class ServerProcess:
    """``hubbub serve`` with its defaults and the flags given; stopped at the end of the ``with`` block.

    Args:
        flags: Of ``hubbub serve``.
        port: Where it listens; 0 for a free port.
        files: How many open files it may have; None for the system's limit.
        cpu: The core that it is pinned to; None for all.

    Attributes:
        url: Its address.
        port: Its port, on 127.0.0.1.
        pid: Its process.
    """

    def __init__(self, *flags: str, port: int = 0, files: int | None = None, cpu: int | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name, "log")

        def prepare() -> None:
            if files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            if cpu is not None:
                pin(cpu)

        with self._log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*HUBBUB, "serve", "--config", os.devnull, "--port", str(port), *flags],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(),
                preexec_fn=prepare,
                cwd=self._folder.name,
            )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        address = re.search(r"http://\S+", self.process.stdout.readline().decode())
        if address is None:
            log = self.log()
            self.kill()
            raise RuntimeError("hubbub serve did not start: " + "\n".join(log))
        self.url = address[0]
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- its end ---

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(timeout)

    def stop(self) -> None:
        """End it with SIGTERM, as an operator does; with SIGKILL if that takes longer than `PATIENCE`."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._clean_up()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._folder.cleanup()

    # --- what it says ---

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET on a connection of its own."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[str, float]:
        """Return the metrics by name and labels: ``{"hubbub_closes_total{code=\"4005\"}": 3.0, …}``."""
        lines = (line for line in self.get("/metrics")[1].splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def metric(self, prefix: str) -> float:
        """Return the sum of the metrics whose name and labels begin with `prefix`."""
        return sum(value for name, value in self.metrics().items() if name.startswith(prefix))

    def log(self) -> list[str]:
        """Return the lines that it has logged so far."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    # --- what it uses ---

    def files(self) -> int:
        """Return how many files it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self) -> int:
        """Return the bytes of memory in use (resident set size)."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """Return the most bytes of memory in use since the start or `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Start measuring `peak` anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        return cpu_time(self.pid)

    def _status(self, name: str) -> int:
        found = re.search(rf"{name}:\s*(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024


def cpu_time(pid: int) -> float:
    """Return the CPU seconds that a process has used (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
