"""A member that reads 10 kB a second, in a group with less traffic, then much more: it gets everything, or is cut.

python benchmarks/abuse/slow_reader.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import split
from support.observer_process import Observer
from support.report import Verdict
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, pin
from support.swarm import Swarm
from support.swarm_client import Client, hello, now

PER_READ = 1000
EVERY = 0.1


class SlowReader:
    """Reads a little every 100 ms, and records what it received."""

    def __init__(self, swarm: Swarm) -> None:
        self.rest = b""
        self.heard: list[int] = []
        self.read = 0
        self.client = Client(swarm, "slow", hello("slow", "hall"))
        self.client.connect(swarm.port, receive_buffer=1)
        if not swarm.run(10, lambda: self.client.ready):
            sys.exit("the slow reader could not join")
        swarm.ignore(self.client)
        self.ended = 0.0
        swarm.every(EVERY, self._read)

    def _read(self) -> None:
        if self.ended or self.client.socket is None:
            return
        try:
            data = self.client.socket.recv(PER_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended = now()
            return
        self.read += len(data)
        found, self.rest = split(self.rest + data)
        for first, payload in found:
            if first == 0x81 and payload.startswith(b'{"type":"message"'):
                self.heard.append(json.loads(payload)["seq"])
            elif first == 0x88:
                self.client.code = int.from_bytes(payload[:2], "big")


def run(verdict: Verdict, label: str, rate: float, size: int, seconds: float) -> None:
    with ServerProcess(cpu=SERVER_CPU) as server:
        swarm = Swarm(server.port)
        observer = Observer(server.port, group="hall", listeners=5, rate=rate, size=size)
        slow = SlowReader(swarm)
        observer.start()
        began = now()
        swarm.run(seconds, lambda: slow.ended)
        result = observer.stop_while(swarm)
        swarm.run(30, lambda: slow.ended or len(slow.heard) >= result["posts"])
        took = (slow.ended or now()) - began
        closes = server.metrics().get('hubbub_closes_total{code="4005"}', 0)
        observer.end()
    whole = slow.heard == list(range(1, len(slow.heard) + 1))
    everything = len(slow.heard) == result["posts"]
    said = f"heard {len(slow.heard)} of {result['posts']} messages, {slow.read / took / 1000:.1f} kB/s"
    verdict.proof(f"{label}: {said} for {took:.0f} s", bool(slow.heard) and slow.read / took < 12_000)
    fate = "everything" if everything else f"cut (4005: {closes:.0f})" if slow.ended and closes else "a hole"
    verdict.figure(
        label, f"{fate}{'' if whole else ', with holes'}", "everything, or the cut", whole and fate != "a hole"
    )
    others = f"{result['missing']} lost, {result['disorder']} out of order"
    verdict.figure(f"{label}, the others", others, "0", not result["missing"] + result["disorder"])


if __name__ == "__main__":
    pin(LOAD_CPU)
    verdict = Verdict("A reader that is slow but alive")
    run(verdict, "8 kB/s to a client that reads 10", 8, 800, 20)
    run(verdict, "200 kB/s to a client that reads 10", 50, 4000, 40)
    verdict.end()
