"""One user sends all that it may, from all its connections: what a bystander waits, and what memory the server takes.

python benchmarks/abuse/budgets.py [attack ...]     one or more of ATTACKS; all without arguments; a line of JSON each

The bystander posts to itself every 5 ms. Memory is read before, at its peak, and 10 s after the attackers have gone.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import command, frame
from support.raw_socket import Socket, member
from support.report import report, unharmed
from support.server_process import ServerProcess

CONNECTIONS = 100
POSTS = 190
SIZE = 65_500


def fill(piece: bytes, end: bytes) -> bytes:
    """Return an array of `piece` over and over, as large as a message may be."""
    return b"[" + (piece + b",") * ((SIZE - len(end)) // (len(piece) + 1)) + end + b"]"


def post(message: bytes, around: bytes = b"", to: bytes = b"elsewhere") -> bytes:
    """Return a post as a frame; one to elsewhere is checked and then refused, so that nobody has to read an echo."""
    return frame(b'{"do":"post","to":{"group":"' + to + b'"},"message":' + message + around + b"}")


ATTACKS: dict[str, tuple[bytes, int, int]] = {  # what each connection sends, how many times, from how many of them
    "empty lists, one connection": (post(fill(b"[]", b"[]")), POSTS, 1),
    "empty lists": (post(fill(b"[]", b"[]")), POSTS, CONNECTIONS),
    "ones, then 1e999": (post(fill(b"1", b"1e999")), POSTS, CONNECTIONS),
    "deep lists": (post(fill(b"[" * 60 + b"]" * 60, b"1e999")), POSTS, CONNECTIONS),
    "small posts": (post(b"1", to=b"g"), 198, CONNECTIONS),
    "pages of groups": (command(do="groups", id=1, limit=1000), 198, CONNECTIONS),
    "pings": (frame(b"", 0x89), 990, CONNECTIONS),
    "frames around a byte": (post(b"1", b',"x":"' + b"A" * 120_000 + b'"', b"g"), POSTS, CONNECTIONS),
}


def peak(target: ServerProcess) -> int:
    """Return the most bytes that the server has occupied since `forget`."""
    status = Path(f"/proc/{target.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget(target: ServerProcess) -> None:
    """Look for the peak anew (proc(5), clear_refs)."""
    Path(f"/proc/{target.pid}/clear_refs").write_text("5")


class Bystander(threading.Thread):
    """Posts to its own group and measures how long it takes until it hears that."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.one = member(port, "bystander", "quiet")
        self.waits: list[float] = []
        self.going_on = True

    def run(self) -> None:
        """Post until told to stop."""
        while self.going_on:
            began = time.perf_counter()
            self.one.ask(do="post", to="quiet", message=1)
            self.waits.append(time.perf_counter() - began)
            time.sleep(0.005)


def send_all(ends: list[Socket], data: bytes, times: int, until: float) -> int:
    """Send as fast as the server takes it, to all at once, reading what comes; return how many bytes were taken."""
    left = [memoryview(data * min(times, 4)) for _ in ends]
    rounds = [-(-times // min(times, 4))] * len(ends)
    sent = 0
    for end in ends:
        end.socket.setblocking(False)
    while any(rounds) and time.monotonic() < until:
        idle = True
        for n, end in enumerate(ends):
            with contextlib.suppress(OSError):
                end.socket.recv(1 << 16)
            if not rounds[n]:
                continue
            try:
                taken = end.socket.send(left[n])
            except BlockingIOError:
                continue
            except OSError:
                rounds[n] = 0
                continue
            idle, sent = False, sent + taken
            left[n] = left[n][taken:]
            if not left[n]:
                rounds[n] -= 1
                left[n] = memoryview(data * min(times, 4))
        if idle:
            time.sleep(0.002)
    return sent


def drain(ends: list[Socket], seconds: float) -> None:
    """Read for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for end in ends:
            with contextlib.suppress(OSError):
                end.socket.recv(1 << 16)
        time.sleep(0.01)


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed, in milliseconds."""
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000, 1)


def run(name: str, seconds: float = 8.0, *, rest: float = 10.0) -> int:
    """Do one attack."""
    data, times, connections = ATTACKS[name]
    with ServerProcess() as target:
        ends = [member(target.port, "mallory", "g" if "pages" not in name else f"g{n}") for n in range(connections)]
        bystander = Bystander(target.port)
        time.sleep(0.5)
        before = target.memory()
        forget(target)
        bystander.start()
        began = time.monotonic()
        sent = send_all(ends, data, times, began + seconds)
        drain(ends, 1.0)
        bystander.going_on = False
        bystander.join()
        most = peak(target)
        codes = [end.told_to_leave() for end in ends] if rest else []
        for end in ends:
            end.cut()
        time.sleep(rest)
        after = target.memory()
        facts: dict[str, Any] = {
            "attack": name,
            "sent_mb": round(sent / 1e6, 1),
            "seconds": round(time.monotonic() - began - rest, 1),
            "p50_ms": percentile(bystander.waits, 0.5),
            "p99_ms": percentile(bystander.waits, 0.99),
            "max_ms": percentile(bystander.waits, 1),
            "before_mb": round(before / 1e6, 1),
            "peak_mb": round(most / 1e6, 1),
            "after_mb": round(after / 1e6, 1),
            "closed": sum(code is not None for code in codes),
        }
        checks = {
            "bystander p99 within 50 ms": facts["p99_ms"] <= 50,
            "at most 64 MB more": most - before <= 64 << 20,
            **unharmed(target),
        }
    return report("budgets", facts, checks)


if __name__ == "__main__":
    sys.exit(max(run(name) for name in sys.argv[1:] or ATTACKS))
