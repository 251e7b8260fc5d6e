"""HTTP clients that never read: ``python benchmarks/abuse/http_never_read.py``.

200 clients request far more than the system buffers, pipelined, and read nothing; every other one half closes its
connection as well. Each must be cut within `PATIENCE` seconds, with at most `LINES` lines in the log. Prints the
figures of `support.attack`.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.attack import Attack
from support.raw_socket import Socket
from support.server_process import ServerProcess
from support.waiting import until

CLIENTS = 200
PATIENCE = 20.0
LINES = 20
FILE = b"GET /hubbub.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


def main(clients: int = CLIENTS, patience: float = PATIENCE) -> int:
    with Attack() as attack:
        target = attack.target
        for _ in range(20):
            assert target.get("/hubbub.js")[0] == 200
        files, attackers = target.files(), []
        with attack.under_way():
            for number in range(clients):
                one = Socket(target.port, receive_buffer=4096)
                one.send(FILE * 200)
                if number % 2:
                    one.socket.shutdown(socket.SHUT_WR)
                attackers.append(one)
            until(lambda: connected(target, files))  # the server has accepted some
            held = until(lambda: not connected(target, files), patience) > patience
        for one in attackers:
            with contextlib.suppress(OSError):
                one.cut()
        broken = attack.figures.broken()
        if held:
            broken.append(f"{connected(target, files)} clients were still connected after {patience:g} s")
        if attack.figures.log > LINES:
            broken.append(f"{attack.figures.log} lines in the log; at most {LINES} are allowed")
        print(attack.figures.line(f"{clients} HTTP clients that never read"), *broken, sep="\n")
        return 1 if broken else 0


def connected(target: ServerProcess, files: int) -> int:
    return max(0, target.files() - files)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
