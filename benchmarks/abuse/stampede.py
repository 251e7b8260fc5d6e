"""10,000 clients are cut at once and reconnect as our own clients do: full jitter, base 0.5 s, cap 30 s.

    python benchmarks/abuse/stampede.py [members] [network] [restart]

``network``: the connections are cut, the server keeps running. ``restart``: the server is killed and started again.
The clients are in groups of as many members as the first argument says, 20 by default. Each return is announced to the
other members, which costs more than the reconnect itself in large groups.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.report import Verdict, ms, percentile
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, pin
from support.swarm import Swarm
from support.swarm_client import Client, hello, now

CLIENTS = 10_000
MEMBERS = 20
BASE, CAP = 0.5, 30.0


class Herd:
    """The clients: what each does when it is cut."""

    def __init__(self, swarm: Swarm, members: int) -> None:
        self.swarm = swarm
        self.members = members
        self.chance = random.Random(1)
        self.attempts: Counter[int] = Counter()
        self.began: list[float] = []
        self.back: list[float] = []
        self.took: list[float] = []
        self.failed = 0
        self.going_on = True
        self.now_in: dict[int, Client] = {}

    def cut(self, number: int, attempt: int = 0) -> None:
        """Reconnect after a backoff."""
        delay = self.chance.random() * min(CAP, BASE * 2**attempt)
        self.swarm.later(delay, lambda: self._come(number, attempt))

    def _come(self, number: int, attempt: int) -> None:
        self.attempts[number] += 1
        self.began.append(now())
        client = Client(self.swarm, "", hello(f"guest-{number}", f"room {number // self.members}"))

        def came(client: Client) -> None:
            client.on_data = client.look
            self.back.append(client.ready)
            self.took.append(client.ready - client.began)
            self.now_in[number] = client

        def ended(client: Client) -> None:
            if self.going_on:
                self.failed += 1
                self.now_in.pop(number, None)
                self.cut(number, 0 if client.ready else attempt + 1)

        client.on_ready, client.on_end = came, ended
        client.connect(self.swarm.port)


def run(verdict: Verdict, kind: str, members: int) -> None:
    server = ServerProcess(cpu=SERVER_CPU)
    swarm = Swarm(server.port)
    clients = swarm.open([f"guest-{n}" for n in range(CLIENTS)], lambda name: f"room {int(name[6:]) // members}")
    swarm.settle()
    herd = Herd(swarm, members)
    began = now()
    if kind == "restart":
        server.kill()
        server = ServerProcess(cpu=SERVER_CPU, port=server.port)
    swarm.close(clients)
    for number in range(CLIENTS):
        herd.cut(number)
    swarm.run(60, lambda: len(herd.now_in) == CLIENTS)
    swarm.run(2)  # and they stay connected
    there = server.metrics()["hubbub_connections"]
    herd.going_on = False
    server.kill()
    swarm.close(list(herd.now_in.values()))
    last = max(herd.back) - began
    start = min(herd.back)
    buckets = Counter(int((moment - start) * 10) for moment in herd.back)
    fullest = max(buckets.values())
    mean = len(herd.back) / (max(buckets) + 1)
    verdict.proof(
        f"{kind}: {CLIENTS} were cut, {len(herd.began)} attempts ({herd.failed} failed)", len(herd.began) >= CLIENTS
    )
    everybody = len(herd.now_in) == CLIENTS == there
    verdict.figure(
        f"{kind}: all back and joined", f"{last:.1f} s, {there:.0f} are in", "15 s", everybody and last <= 15
    )
    verdict.figure(
        f"{kind}: fullest 100 ms",
        f"{fullest}, {fullest / mean:.1f} times the mean of {mean:.0f}",
        "3 times",
        fullest <= 3 * mean,
    )
    print(f"         getting in took {ms(percentile(herd.took, 0.5))} (p50), {ms(percentile(herd.took, 0.99))} (p99)")


if __name__ == "__main__":
    pin(LOAD_CPU)
    arguments = sys.argv[1:]
    members = int(arguments.pop(0)) if arguments and arguments[0].isdecimal() else MEMBERS
    verdict = Verdict(f"10,000 clients in groups of {members} are cut at once")
    for name in arguments or ["network", "restart"]:
        run(verdict, name, members)
    verdict.end()
