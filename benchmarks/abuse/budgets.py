"""One user sends all that its limits allow, from all its connections.

    python benchmarks/abuse/budgets.py [ATTACK ...]     # names of ATTACKS; all of them without arguments

Prints a line of JSON for each, with the figures of `support.attack`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.attack import Attack
from support.frames import command, frame
from support.raw_socket import Socket, member

CONNECTIONS = 100
POSTS = 190
SIZE = 65_500


def fill(piece: bytes, end: bytes) -> bytes:
    """Return an array of `piece` over and over, up to the size limit of a message."""
    return b"[" + (piece + b",") * ((SIZE - len(end)) // (len(piece) + 1)) + end + b"]"


def post(message: bytes, around: bytes = b"", to: bytes = b"elsewhere") -> bytes:
    """Return a post as a frame; one to elsewhere is checked and then refused, so that nobody receives an echo."""
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


def send_all(ends: list[Socket], data: bytes, times: int, until: float) -> int:
    """Send on all connections, as fast as the server takes it, and read; return how many bytes were sent."""
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


def run(name: str, seconds: float = 8.0) -> int:
    """Do one attack; return 1 if it broke a promise."""
    data, times, connections = ATTACKS[name]
    with Attack() as attack:
        group = "g{}" if "pages" in name else "g"
        ends = [member(attack.port, "mallory", group.format(number)) for number in range(connections)]
        with attack.under_way():
            send_all(ends, data, times, time.monotonic() + seconds)
            drain(ends, 1.0)
            for end in ends:
                end.cut()
        print(attack.figures.line(name), flush=True)
        return 1 if attack.figures.broken() else 0


if __name__ == "__main__":
    sys.exit(max([run(name) for name in sys.argv[1:] or ATTACKS]))
