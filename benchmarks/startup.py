"""How long ``hubbub serve`` takes from being started to the first answer of ``/healthz``.

    python benchmarks/startup.py [--runs N]

Prints milliseconds. The goal is at most 1,000.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.server_process import ServerProcess

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def healthy(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(REQUEST)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def start() -> float:
    """Start a server, wait for its health, stop it; return the seconds that the wait took."""
    began = time.perf_counter()
    with ServerProcess() as server:
        while not healthy(server.port):
            time.sleep(0.002)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    times = sorted(1000 * start() for _ in range(parser.parse_args().runs))
    print(f"median {statistics.median(times):.0f} ms, slowest of {len(times)} {times[-1]:.0f} ms")


if __name__ == "__main__":
    main()
