"""More connections than there may be open files: ``python benchmarks/abuse/open_files.py``.

The server may have 256 files open. Members post; then 2,000 connections are opened as fast as possible and held. Every
other one asks for a WebSocket, the rest send nothing. Connections over the limit must get 503 before the server runs
out of files, the members must not be affected, and once the attack is over new clients must be able to connect.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import HANDSHAKE
from support.raw_socket import Socket, member
from support.report import report, unharmed
from support.server_process import ServerProcess
from support.waiting import until

FILES = 256
ATTACKERS = 2000
MEMBERS = 20
HOLD = 2.0
"""Seconds that the attackers wait for an answer."""


def main() -> int:
    with ServerProcess("--rate-limit", "0", files=FILES) as target:
        members = [member(target.port, f"m{number}", "g") for number in range(MEMBERS)]
        highest, delays = [0], [0.0]
        done = threading.Event()
        threads = [
            threading.Thread(target=watch, args=(target, done, highest)),
            threading.Thread(target=chat, args=(members[0], done, delays)),
        ]
        for thread in threads:
            thread.start()
        lines, began = len(target.log()), time.monotonic()
        attackers = [Socket(target.port) for _ in range(ATTACKERS)]
        for each in attackers[::2]:
            with contextlib.suppress(ConnectionError):
                each.send(HANDSHAKE)
        time.sleep(HOLD)
        outcomes = Counter(map(outcome, attackers))
        rate = (len(target.log()) - lines) / (time.monotonic() - began)
        for each in attackers:
            each.cut()
        recovery = until(lambda: can_join(target))
        done.set()
        for thread in threads:
            thread.join()
        posts = len(delays) - 1
        facts = {
            "connections": ATTACKERS,
            "outcomes": outcomes,
            "most open files": highest[0],
            "log lines a second": round(rate, 1),
            "recovery s": round(recovery, 2),
            "messages meanwhile": posts,
            "longest wait for a reply ms": round(max(delays) * 1000),
        }
        checks = {
            "some got in": outcomes["101"] > 50,
            "the others got 503": outcomes["503"] >= ATTACKERS - FILES,
            "never out of files": highest[0] < FILES,
            "at most 10 log lines a second": rate <= 10,
            "recovery in 2 s": recovery <= 2,
            "the members missed nothing": posts > 0 and all(hears(one, posts) for one in members[1:]),
            **unharmed(target),
        }
        return report("open files", facts, checks)


def watch(target: ServerProcess, done: threading.Event, highest: list[int]) -> None:
    """Look at the number of open files all the time."""
    while not done.wait(0.001):
        highest[0] = max(highest[0], target.files())


def chat(one: Socket, done: threading.Event, delays: list[float]) -> None:
    """Post twenty messages a second, and take the time until each is answered."""
    while not done.wait(0.05):
        began = time.monotonic()
        one.ask(do="post", to="g", message=len(delays))
        delays.append(time.monotonic() - began)


def hears(one: Socket, posts: int) -> bool:
    """Whether a member has got every message, in order."""
    numbers: list[int] = []
    while len(numbers) < posts:
        event = one.event()
        if event["type"] == "message":
            numbers.append(event["message"])
    return numbers == list(range(1, posts + 1))


def outcome(one: Socket) -> str:
    """Return the status that the connection was answered with, or how it stands instead."""
    one.socket.setblocking(False)
    try:
        return one.head().split()[1].decode()
    except BlockingIOError:
        return "no answer"
    except ConnectionError:
        return "reset"


def can_join(target: ServerProcess) -> bool:
    try:
        one = member(target.port, "late", "elsewhere")
    except (AssertionError, OSError):
        return False
    one.cut()
    return True


if __name__ == "__main__":
    sys.exit(main())
