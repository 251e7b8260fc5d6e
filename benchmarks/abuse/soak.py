"""Connections that are cut at random points, again and again: ``python benchmarks/abuse/soak.py [CYCLES] [SEED]``.

A cycle is: connect, identify, join one of 50 groups, post, leave or go to another group; it is cut after a random
number of bytes, in the middle of a frame or not, with or without waiting for the answers. In the end there must be
exactly as many tasks, open files, connections, groups and members as at the beginning, and the memory must have stopped
growing.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import GUEST_KEY, HANDSHAKE, command
from support.raw_socket import Socket, member
from support.report import report, unharmed
from support.server_process import ServerProcess
from support.waiting import settle

WINDOW = 50
"""Connections that are open at the same time."""

WARM_UP = 0.3
"""Part of the cycles after which the memory must not grow any more."""

GROWTH = 1.05
"""How much it may grow all the same: for allocators and hash tables."""


def cycles(target: ServerProcess, many: int, chance: random.Random, counts: Counter[str]) -> None:
    """Do so many cycles, `WINDOW` at a time."""
    for start in range(0, many, WINDOW):
        window = []
        for number in range(start, min(start + WINDOW, many)):
            script = (
                command(id=1, do="connect", guest=f"u{number % 97}", guest_key=GUEST_KEY)
                + command(id=2, do="join", group=f"g{number % 50}")
                + command(id=3, do="post", to={"group": f"g{number % 50}"}, message={"number": number})
                + command(id=4, do="join", group=f"g{chance.randrange(50)}" if chance.random() < 0.5 else None)
            )
            cut = chance.randrange(len(HANDSHAKE) + 2 * len(script))  # often enough in full
            one = Socket(target.port)
            one.send(HANDSHAKE[:cut])
            window.append((one, cut - len(HANDSHAKE), script))
        for one, cut, script in window:
            counts["connected"] += 1
            if cut >= 0:
                assert one.head().startswith(b"HTTP/1.1 101 ")
                counts["upgraded"] += 1
                one.send(script[:cut])
        for one, cut, script in window:
            if cut >= len(script) and chance.random() < 0.9:
                while one.event().get("id") != 4:
                    pass
                counts["heard out"] += 1
            elif chance.random() < 0.3:
                one.socket.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    one.head() if cut < 0 else one.frame()
        chance.shuffle(window)
        for one, _, _ in window:
            one.cut()


def state(target: ServerProcess) -> dict[str, float]:
    """Return what must be as it was; asking takes one task and one file."""
    metrics = target.metrics()
    names = ("connections", "identified_connections", "users", "groups", "tasks")
    return {**{name: metrics[f"hubbub_{name}"] for name in names}, "files": target.files()}


def main(many: int = 50_000, seed: int = 1) -> int:
    chance, counts = random.Random(seed), Counter[str]()
    options = ["--rate-limit", "0", "--max-connections-per-user", "1000", "--ping-interval", "3600"]
    options += ["--history-age", "1"]  # history is bounded, but takes minutes to fill
    with ServerProcess(*options) as target:
        witness = member(target.port, "witness", "apart")
        before, began = state(target), time.monotonic()
        warm = int(many * WARM_UP)
        cycles(target, warm, chance, counts)
        memory = target.memory()
        cycles(target, many - warm, chance, counts)
        seconds = time.monotonic() - began
        after = settle(lambda: state(target), before)
        growth = target.memory() / memory
        witness.ask(do="leave")
        closes, joins = (
            target.metric("hubbub_closes"),
            target.metric('hubbub_commands_total{command="join",outcome="ok"}'),
        )
        posts = target.metric('hubbub_commands_total{command="post"')
        members = witness.ask(do="groups")["ok"]["list"]
        witness.cut()
        facts = {
            "cycles": counts,
            "seen by the server": {"joins": joins, "posts": posts, "ends": closes},
            "seed": seed,
            "seconds": round(seconds, 1),
            "before": before,
            "after": after,
            "memory MB": [round(memory / 1e6, 1), round(memory * growth / 1e6, 1)],
        }
        checks = {
            "as many as asked for": counts["connected"] == many,
            "every upgrade has ended": closes == counts["upgraded"],
            "cut at all points": 0 < counts["heard out"] < counts["upgraded"] < many and joins > counts["heard out"],
            "everything as before": after == before,
            "no groups left": members == [],
            "memory flat": growth < GROWTH,
            **unharmed(target),
        }
        return report("soak", facts, checks)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
