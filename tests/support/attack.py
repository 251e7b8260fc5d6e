"""Measures attacks, all in the same way: a real server with default settings, its memory, its loop lag, a bystander.

    with Attack("--rate-limit", "50") as attack:      # flags of hubbub serve, if any
        with attack.under_way():
            ...                                       # send to 127.0.0.1:attack.port
    print(attack.figures.line("pipelined requests"))
    assert attack.figures.broken(users=1) == []

The bystander (``tests/support/observer.py``, a process of its own) posts to a group that 20 connections listen to,
and asks for a page of one group, 50 times a second each, as a guest: a server with a secret needs ``--guests`` too.
Importing this module changes nothing in the importing process, so tests and scripts can both use it; a script in
``benchmarks/abuse/`` first does ``sys.path.append(str(Path(__file__).parents[2] / "tests"))``.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from support.frames import HANDSHAKE as HANDSHAKE
from support.frames import command as command
from support.frames import frame as frame
from support.observer_process import Observer
from support.raw_socket import Socket as Socket
from support.raw_socket import member as member
from support.server_process import ServerProcess, cpu_time

MIB = 1_048_576
MOST_PER_USER = 64 * MIB
"""Bytes by which a server may grow for each attacking user."""

BACK_WITHIN, BACK_AFTER = 0.10, 10.0
"""A server has recovered when it uses at most this share more memory than before; and the seconds it has for that."""

BACK_FLOOR = 4 * MIB
"""Bytes that a recovered server may use more in any case: it returns freed memory only when it has grown by as much.

The first attack on a server also fills free lists and leaves holes in Python's arenas, which stay: measure the second.
"""

LONGEST_WAIT = 0.050
"""Seconds that a bystander may wait, at the 99th percentile."""

SAMPLE = 0.1
"""Seconds between two samples of the memory."""


class Memory(NamedTuple):
    """Bytes of a process: all resident memory, and the part that it shares with no other process."""

    rss: int
    private: int


class Figures(NamedTuple):
    """The measurements of an attack, in bytes and seconds.

    Attributes:
        before: Memory before the attack, with the bystander connected.
        peak: Most memory during the attack. `Memory.private` is sampled; `Memory.rss` is the kernel's own peak.
        after: Least memory in the seconds after it (`back_after`); the wait ends when the server has recovered.
        recovered: Seconds until the private memory had recovered (`BACK_WITHIN`, `BACK_FLOOR`); infinity if it had not.
        seconds: How long it was under way.
        cpu: CPU time that the server used during the attack.
        calm: What the bystander measured before; the keys are those of `observer.Bystander.stop`.
        bystander: What it measured during the attack.
        late: Checks of the event loop, of four a second, that were more than 50 ms late.
        longest_lag: Upper bound of the longest delay; from the histogram ``hubbub_loop_lag_seconds``.
        log: Lines that the server logged during the attack.
        tracebacks: How many of them begin a traceback.
    """

    before: Memory
    peak: Memory
    after: Memory
    recovered: float
    seconds: float
    cpu: float
    calm: dict[str, Any]
    bystander: dict[str, Any]
    late: int
    longest_lag: float
    log: int
    tracebacks: int

    @property
    def waited(self) -> float:
        """The bystander's latency at the 99th percentile, of messages or of replies, whichever is longer."""
        return float(max(self.bystander["p99"], self.bystander["probe_p99"]))

    def broken(self, users: int = 1, *, longest_wait: float = LONGEST_WAIT) -> list[str]:
        """Return a sentence for each promise that an attack by so many users has broken."""
        grown = self.peak.private - self.before.private
        lost = {name: self.bystander[name] for name in ("missing", "disorder", "unanswered", "lost")}
        promises = {
            f"memory grew by {grown / MIB:.0f} MiB": grown <= MOST_PER_USER * users,
            f"memory did not come back: {self.before.private / MIB:.0f} MiB before, {self.after.private / MIB:.0f} "
            f"after the attack": self.recovered < float("inf"),
            f"the bystander waited {self.waited * 1000:.0f} ms at p99": self.waited <= longest_wait,
            f"the bystander missed something: {lost}": not any(lost.values()),
            f"{self.tracebacks} tracebacks in the log": not self.tracebacks,
        }
        return [broken for broken, kept in promises.items() if not kept]

    def line(self, name: str, users: int = 1) -> str:
        """Return the figures as one line of JSON: sizes in MiB, waits in ms."""
        mib = {
            f"{when} {kind} MiB": round(getattr(getattr(self, when), kind) / MIB, 1)
            for when in ("before", "peak", "after")
            for kind in ("private", "rss")
        }
        waits = {
            f"{which} {name} ms": round(measured[key] * 1000, 1)
            for which, measured in (("calm", self.calm), ("attacked", self.bystander))
            for name, key in (
                ("delivery p50", "p50"),
                ("delivery p99", "p99"),
                ("delivery max", "max"),
                ("answer p99", "probe_p99"),
                ("answer max", "probe_max"),
            )
        }
        facts = {
            "attack": name,
            "seconds": round(self.seconds, 1),
            "server cpu s": round(self.cpu, 2),
            **mib,
            "recovered s": round(self.recovered, 1) if self.recovered < float("inf") else None,
            **waits,
            "missing": self.bystander["missing"] + self.bystander["unanswered"],
            "loop late over 50 ms": self.late,
            "longest lag up to s": self.longest_lag if self.longest_lag < float("inf") else "more than 2.5",
            "log lines": self.log,
            "tracebacks": self.tracebacks,
            "broken": self.broken(users),
        }
        return json.dumps(facts)


class Attack:
    """A server to attack, and the measurements.

    Args:
        flags: For ``hubbub serve``, beyond the defaults.
        calm: Seconds for which the bystander measures before the attack.
        back_after: Seconds within which the memory must be released after the attack.
        plan: Changes what the bystander does; see ``tests/support/observer.py``.

    Attributes:
        target: The server, seen from outside.
        port: Its port.
        figures: What was measured, after `under_way`.
    """

    figures: Figures

    def __init__(self, *flags: str, calm: float = 1.0, back_after: float = BACK_AFTER, **plan: Any) -> None:
        self._flags = flags
        self._calm_seconds = calm
        self._back_after = back_after
        self._plan = {"group": "bystanders", "listeners": 20, "rate": 50, "size": 200, "probe": 0.02, **plan}

    def __enter__(self) -> Attack:
        self.target = ServerProcess(*self._flags)
        self.port = self.target.port
        try:
            self._observer = Observer(self.port, **self._plan)
        except BaseException:
            self.target.stop()
            raise
        self._observer.start()
        time.sleep(self._calm_seconds)
        self._calm = self._observer.stop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._observer.end()
        self.target.stop()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Measure during the block, then wait for the memory to be released; sets `figures`."""
        pid, metrics, logged = self.target.pid, self.target.metrics(), len(self.target.log())
        before, cpu = memory(pid), cpu_time(pid)
        peak = _Peak(pid)
        self._observer.start()
        began = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - began
            bystander = self._observer.stop()
            most = peak.stop()
        cpu = cpu_time(pid) - cpu
        after, recovered = _wait_until_recovered(pid, before, self._back_after)
        late, longest = _lateness(metrics, self.target.metrics())
        new = self.target.log()[logged:]
        tracebacks = sum(line.startswith("Traceback") for line in new)
        self.figures = Figures(
            before, most, after, recovered, seconds, cpu, self._calm, bystander, late, longest, len(new), tracebacks
        )


def memory(pid: int) -> Memory:
    """Return the memory of a process (proc(5), smaps_rollup)."""
    sizes = dict(re.findall(r"^(\w+):\s*(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
    return Memory(int(sizes["Rss"]) * 1024, (int(sizes["Private_Clean"]) + int(sizes["Private_Dirty"])) * 1024)


class _Peak:
    """The most memory of a process, from now until `stop`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._private = memory(pid).private
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets the kernel's peak
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE):
            with suppress(OSError):
                self._private = max(self._private, memory(self._pid).private)

    def stop(self) -> Memory:
        self._done.set()
        self._thread.join()
        found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{self._pid}/status").read_text())
        assert found is not None
        return Memory(int(found[1]) * 1024, max(self._private, memory(self._pid).private))


def _wait_until_recovered(pid: int, before: Memory, most: float) -> tuple[Memory, float]:
    began = time.monotonic()
    least = memory(pid)
    while least.private > before.private + max(BACK_FLOOR, before.private * BACK_WITHIN):
        if time.monotonic() - began > most:
            return least, float("inf")
        time.sleep(SAMPLE)
        least = min(least, memory(pid), key=lambda seen: seen.private)
    return least, time.monotonic() - began


def _lateness(before: dict[str, float], after: dict[str, float]) -> tuple[int, float]:
    """Return how many checks were more than 50 ms late, and the upper bound of the longest delay."""
    bounds = {
        float(name.split('"')[1]): count - before.get(name, 0)
        for name, count in after.items()
        if name.startswith("hubbub_loop_lag_seconds_bucket")
    }
    looks = max(bounds.values())
    return int(looks - bounds[0.05]), min(bound for bound, count in bounds.items() if count == looks)
