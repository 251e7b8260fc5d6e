"""One user posts while the store does not answer: ``python benchmarks/abuse/slow_store.py``.

30 connections send 200 posts of 100 kB each, 600 MB in all, to a node whose Valkey is stopped (SIGSTOP) for two
seconds. The node must refuse or stop to read what it has no room for, and give the memory back afterwards.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.attack import BACK_AFTER, MIB, MOST_PER_USER, Attack, command, member, memory
from support.store import Store

CONNECTIONS, POSTS, SIZE = 30, 200, 100_000

STOPPED = 2.0
"""Seconds for which the store does not answer."""


def flood(port: int, number: int, ready: threading.Barrier, until: threading.Event) -> None:
    """Join, wait for the others, then send as long as the server reads."""
    one = member(port, "flooder", f"group-{number}")
    post = command(do="post", to=f"group-{number}", message="x" * 60_000, padding="y" * (SIZE - 60_000))
    ready.wait()
    one.socket.settimeout(STOPPED)
    with contextlib.suppress(OSError):
        for _ in range(POSTS):
            one.send(post)
    until.wait()
    one.cut()


def main() -> int:
    with Store() as store, Attack("--backend", store.url(), "--max-connections-per-user", "100") as attack:
        pid, done = attack.target.pid, threading.Event()
        ready = threading.Barrier(CONNECTIONS + 1)
        threads = [threading.Thread(target=flood, args=(attack.port, n, ready, done)) for n in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        ready.wait()
        before = most = memory(pid).private
        store.signal(signal.SIGSTOP)
        ends = time.monotonic() + STOPPED
        while time.monotonic() < ends:
            most = max(most, memory(pid).private)
            time.sleep(0.02)
        store.signal(signal.SIGCONT)
        ends = time.monotonic() + STOPPED
        while time.monotonic() < ends:
            most = max(most, memory(pid).private)
            time.sleep(0.02)
        done.set()
        for thread in threads:
            thread.join()
        time.sleep(BACK_AFTER)
        after = memory(pid).private
    facts = {"abuse": "a store that does not answer", "memory MiB": [round(x / MIB, 1) for x in (before, most, after)]}
    print(json.dumps(facts))
    return 1 if most - before > MOST_PER_USER else 0


if __name__ == "__main__":
    sys.exit(main())
