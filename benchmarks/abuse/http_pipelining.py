"""Thousands of HTTP requests in one go, without a token: ``python benchmarks/abuse/http_pipelining.py``.

72 connections send 14,000 small requests each, read nothing and close. They come in three rounds: closed at once when
everything is sent, kept open for `HOLD` seconds, and with bodies. The memory of the server may grow by `MOST_GROWTH`
bytes meanwhile, and `REST` seconds later it must be within 10 % of what it was.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.raw_socket import Socket
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, pin

CONNECTIONS = 72
REQUESTS = 14_000
HOLD = 5.0
"""Seconds for which the connections of the second round are kept."""
REST = 10.0
"""Seconds after the attack within which the memory must be given back."""
MOST_GROWTH = 64 << 20
"""Most bytes by which the memory of the server may grow."""

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BODIES = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n" + b"\r\n\r\n" * 100
MB = 1 << 20


def main(connections: int = CONNECTIONS, requests: int = REQUESTS) -> int:
    failed = False
    for name, request, hold in (
        ("closed at once", GET, 0.0),
        ("kept open", GET, HOLD),
        ("with bodies", BODIES, 0.0),
    ):
        with ServerProcess(cpu=SERVER_CPU) as server:
            warm_up(server)
            before = server.memory()
            server.forget_peak()
            cpu = server.cpu()
            sent = attack(server, request, connections, requests, hold)
            settle(server)
            peak, cpu = server.peak(), server.cpu() - cpu
            time.sleep(REST)
            after = server.memory()
            grown, left = peak - before, after - before
            good = grown <= MOST_GROWTH and left <= before / 10
            failed |= not good
            print(
                f"{name}: {connections} x {requests} requests, {sent / MB:.1f} MB sent; "
                f"memory {before / MB:.1f} MB before, {peak / MB:.1f} at the peak (+{grown / MB:.1f}), "
                f"{after / MB:.1f} {REST:g} s later ({left / before:+.0%}); {cpu:.1f} s of CPU: "
                f"{'good' if good else 'FAILED'}",
                flush=True,
            )
    return failed


def warm_up(server: ServerProcess) -> None:
    """Ask once for what is made when it is first needed."""
    for _ in range(20):
        one = Socket(server.port)
        one.send(GET)
        one.head()
        one.cut()


def attack(server: ServerProcess, request: bytes, connections: int, requests: int, hold: float) -> int:
    """Send requests over many connections, and close them; return how many bytes were sent."""
    still_open, sent = [], 0
    for _ in range(connections):
        one = Socket(server.port)
        one.socket.setblocking(False)
        still_open.append((one, memoryview(request * requests)))
    end = time.monotonic() + 10
    while still_open and time.monotonic() < end:
        left = []
        for one, data in still_open:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                taken = one.socket.send(data)
                sent, data = sent + taken, data[taken:]
            if data or hold:
                left.append((one, data))
            else:
                one.cut()
        if hold and not any(data for _, data in left):
            break
        still_open = left
        time.sleep(0.01)
    if hold:
        time.sleep(hold)
    for one, _ in still_open:
        one.cut()
    return sent


def settle(server: ServerProcess) -> None:
    """Wait until the server answers again."""
    one = Socket(server.port, timeout=60)
    one.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    one.head()
    one.cut()


if __name__ == "__main__":
    pin(LOAD_CPU)
    sys.exit(main(*map(int, sys.argv[1:])))
