"""HTTP clients that never read: ``python benchmarks/abuse/http_mutes.py``.

200 clients ask for far more than the system buffers, pipelined, and read nothing; every other one ends its sending
side, too. Each must be cut within `PATIENCE` seconds; the log may have `LINES` lines at most, and no traceback; the
memory of the server may grow by `MOST_GROWTH` bytes, and `REST` seconds after the cut it must be within 10 % of
what it was.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.raw_socket import Socket
from support.report import report
from support.server_process import ServerProcess

CLIENTS = 200
PATIENCE = 20.0
REST = 10.0
LINES = 20
MOST_GROWTH = 64 << 20
FILE = b"GET /hubbub.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
MB = 1 << 20


def main(clients: int = CLIENTS, patience: float = PATIENCE) -> int:
    with ServerProcess() as target:
        for _ in range(20):
            assert target.get("/hubbub.js")[0] == 200
        before, files = target.memory(), target.files()
        clients_open = []
        for number in range(clients):
            one = Socket(target.port, receive_buffer=4096)
            one.send(FILE * 200)
            if number % 2:
                one.socket.shutdown(socket.SHUT_WR)
            clients_open.append(one)
        peak, began = before, time.monotonic()
        while (held := connected(target, files)) and time.monotonic() - began < patience:
            peak = max(peak, target.memory())
            time.sleep(0.1)
        seconds = time.monotonic() - began
        time.sleep(REST)
        after, log = target.memory(), target.log()
        for one in clients_open:
            with contextlib.suppress(OSError):
                one.cut()
        time.sleep(1)
        facts = {
            "clients": clients,
            f"still held after {patience:g} s": held,
            "seconds until the last was cut": None if held else round(seconds, 1),
            "memory MB": {"before": round(before / MB, 1), "peak": round(peak / MB, 1), "later": round(after / MB, 1)},
            "log lines": len(target.log()),
            "tracebacks": sum("Traceback" in line for line in target.log()),
        }
        checks = {
            "all were cut": not held,
            "memory at the peak": peak - before <= MOST_GROWTH,
            "memory later": after - before <= before / 10,
            "few lines in the log": len(log) <= LINES,
            "no traceback": not any("Traceback" in line for line in target.log()),
        }
        return report("HTTP clients that never read", facts, checks)


def connected(target: ServerProcess, files: int) -> int:
    return max(0, target.files() - files)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
