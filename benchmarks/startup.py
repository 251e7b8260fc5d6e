"""How long ``hubbub serve`` takes from being started to the first answer of ``/healthz``.

    python benchmarks/startup.py [--runs N]

Prints milliseconds. The figure to meet: at most 1,000.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
HUBBUB = Path(sys.executable).parent / "hubbub"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def healthy(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(REQUEST)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def start() -> float:
    """Start a server, wait for its health, stop it; return the seconds that the wait took."""
    port = free_port()
    began = time.perf_counter()
    server = subprocess.Popen(
        [HUBBUB, "serve", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not healthy(port):
            if server.poll() is not None:
                raise SystemExit(f"the server ended with {server.returncode}")
            time.sleep(0.002)
        return time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    times = sorted(1000 * start() for _ in range(parser.parse_args().runs))
    print(f"median {statistics.median(times):.0f} ms, slowest of {len(times)} {times[-1]:.0f} ms")


if __name__ == "__main__":
    main()
