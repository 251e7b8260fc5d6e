"""SIGTERM with 3,000 members, 50 of which do not read: ``python benchmarks/abuse/drain.py``.

Readiness must become false before anybody is told to leave; everybody must hear the close code 1001, spread over time;
the stalled must not hold the server up; the exit code must be 0 within 10 s.
"""

from __future__ import annotations

import selectors
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import command, frame
from support.raw_socket import Socket, member
from support.report import report, unharmed
from support.server_process import ServerProcess

CLIENTS = 3000
STALLED = 50
GROUPS = 100
FILL = 60_000
"""Bytes of each message that the stalled do not read."""
POSTS = 120
"""Number of these: more than the system's buffers take, so that the server has to keep some, but within max_queue."""


def main(clients: int = CLIENTS, stalled: int = STALLED) -> int:
    with ServerProcess("--rate-limit", "0", "--max-queue", "16777216") as target:
        lively = [join(target.port, number) for number in range(clients - stalled)]
        stuck = [member(target.port, f"s{number}", "stalled", receive_buffer=4096) for number in range(stalled)]
        poster = member(target.port, "poster", "stalled")
        for _ in range(POSTS):
            poster.ask(do="post", to="stalled", message="x" * FILL)
        poster.cut()
        probe = Socket(target.port)
        probe.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ready_before = b" 200 " in probe.head()
        target.get("/healthz")
        checks_before = unharmed(target)

        began = time.monotonic()
        target.signal(signal.SIGTERM)
        unready, first_close, codes, times = listen(target.port, lively, began)
        exit_code = target.wait(20)
        seconds = time.monotonic() - began
        cut = sum(each.close_code() == 1006 for each in stuck)  # the close frame was behind what they did not read
        for each in lively + stuck:
            each.cut()
        span = times[-1] - times[0]
        most = max(Counter(int((at - times[0]) / 0.1) for at in times).values())
        facts = {
            "clients": clients,
            "stalled": stalled,
            "not ready after s": round(unready, 3),
            "first close after s": round(first_close, 3),
            "closes": {str(code): number for code, number in codes.items()},
            "spread s": round(span, 2),
            "most in 100 ms": most,
            "stalled and cut": cut,
            "exit code": exit_code,
            "exit after s": round(seconds, 2),
        }
        checks = {
            "ready before": ready_before,
            **checks_before,
            "not ready while clients are told": unready < times[-1],
            "every lively client is told to come back": codes == {1001: clients - stalled},
            "spread": most <= 3 * clients / (span * 10),
            "the stalled were stalled": cut == stalled,
            "exit code 0": exit_code == 0,
            "within 10 s": seconds < 10,
            "no traceback at the end": "Traceback" not in "\n".join(target.log()),
        }
        return report("drain", facts, checks)


def join(port: int, number: int) -> Socket:
    """Be a member of one of many groups, without waiting for the notices of the others."""
    one = Socket(port)
    one.upgrade()
    one.send(command(id=1, do="connect", guest=f"c{number}") + command(id=2, do="join", group=f"g{number % GROUPS}"))
    while one.event().get("id") != 2:
        pass
    return one


def listen(port: int, clients: list[Socket], began: float) -> tuple[float, float, Counter[int], list[float]]:
    """Read what every client is told, and ask for the readiness all the time.

    Returns:
        When the server was first seen not ready, when the first client was told to leave (s after `began`), how many
        heard which close code, and when each did.
    """
    selector = selectors.DefaultSelector()
    for each in clients:
        selector.register(each.socket, selectors.EVENT_READ, each)
    unready, codes, times = float("inf"), Counter[int](), []
    while selector.get_map() and time.monotonic() - began < 15:
        if unready == float("inf") and not ready(port):
            unready = time.monotonic() - began
        for key, _ in selector.select(0.01):
            code = key.data.told_to_leave()
            if code is not None:
                codes[code] += 1
                times.append(time.monotonic() - began)
                selector.unregister(key.data.socket)
                if code != 1006:
                    key.data.send(frame(code.to_bytes(2, "big"), 0x88))
    return unready, times[0], codes, times


def ready(port: int) -> bool:
    """Ask ``/readyz`` on a new connection; one that is not accepted any more counts as ready: it has said nothing."""
    try:
        one = Socket(port)
        one.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = one.head()
    except OSError:
        return True
    one.cut()
    return b" 503 " not in status


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
