"""Thousands of pipelined HTTP requests, without a token: ``python benchmarks/abuse/http_pipelining.py``.

72 connections send 14,000 small requests each, read nothing and close. There are three rounds: connections closed as
soon as everything is sent, kept open for `HOLD` seconds, and requests with bodies. Prints the figures of
`support.attack`, a line for each round.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.attack import Attack
from support.raw_socket import Socket

CONNECTIONS = 72
REQUESTS = 14_000
HOLD = 5.0
"""Seconds for which the connections of the second round are kept."""

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BODIES = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n" + b"\r\n\r\n" * 100


def main(connections: int = CONNECTIONS, requests: int = REQUESTS) -> int:
    failed = False
    for name, request, hold in (
        ("closed at once", GET, 0.0),
        ("kept open", GET, HOLD),
        ("with bodies", BODIES, 0.0),
    ):
        with Attack() as attack:
            warm_up(attack.port)
            with attack.under_way():
                send(attack.port, request, connections, requests, hold)
                settle(attack.port)
            print(attack.figures.line(f"pipelined requests, {name}"), flush=True)
            failed |= bool(attack.figures.broken())
    return failed


def warm_up(port: int) -> None:
    """Send a few requests, so that what is made once is made before the attack."""
    for _ in range(20):
        one = Socket(port)
        one.send(GET)
        one.head()
        one.cut()


def send(port: int, request: bytes, connections: int, requests: int, hold: float) -> int:
    """Send requests over many connections, and close them; return how many bytes were sent."""
    still_open, sent = [], 0
    for _ in range(connections):
        one = Socket(port)
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


def settle(port: int) -> None:
    """Wait until the server answers again."""
    one = Socket(port, timeout=60)
    one.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    one.head()
    one.cut()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
