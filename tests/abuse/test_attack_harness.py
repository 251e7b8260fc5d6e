"""The instrument that measures attacks sees what there is to see: lateness, memory, and that nothing happened."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from support.attack import MIB, Attack, member

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no /proc to look into"),
]


def test_it_sees_lateness_memory_and_calm() -> None:
    flags = ("--history-bytes", str(16 * MIB), "--max-queue", str(64 * MIB), "--rate-limit", "0")
    with Attack(*flags, calm=0.5, back_after=0.5) as attack:
        with attack.under_way():
            time.sleep(0.5)  # nothing happens: what is measured is a server at rest
        assert attack.figures.broken(longest_wait=0.5) == []
        assert attack.figures.bystander["posts"] > 10
        assert attack.figures.peak.private - attack.figures.before.private < 4 * MIB

        with attack.under_way():
            os.kill(attack.target.pid, signal.SIGSTOP)
            time.sleep(0.6)  # how long the server stands still
            os.kill(attack.target.pid, signal.SIGCONT)
        assert attack.figures.bystander["max"] > 0.5
        assert attack.figures.late >= 1
        assert attack.figures.longest_lag > 0.05
        assert any("waited" in sentence for sentence in attack.figures.broken())

        poster = member(attack.port, "poster", "kept")
        with attack.under_way():
            for number in range(200):
                poster.ask(do="post", to={"group": "kept"}, message=f"{number:05d}" * 13_000)
        poster.cut()
        grown = attack.figures.peak.private - attack.figures.before.private
        assert grown > 10 * MIB, "200 messages of 64 kB, of which the history keeps 16 MiB"
        assert attack.figures.recovered == float("inf")
        assert any("did not come back" in sentence for sentence in attack.figures.broken())
