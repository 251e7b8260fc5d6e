"""200 members of a group of 2,200 stop reading; whoever is cut comes back and stops again. The others must not notice.

    python benchmarks/abuse/stalled_readers.py [seconds]

Messages of 4 KiB, all different, 20 a second. The stalled have the smallest receive buffer that the system gives.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.observer_process import Observer
from support.report import Verdict, mb, ms, percentile
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, pin
from support.swarm import Swarm
from support.swarm_client import Client, Digest, hello, now

READERS, STALLED = 2000, 200
PLAN = {"group": "hall", "listeners": 20, "rate": 20, "size": 4096, "probe": 0.02}


class Stalled:
    """Keeps `STALLED` readers stalled, and remembers how long each lasted."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.lasted: list[float] = []
        self.stalls = 0
        self.going_on = True

    def come(self, number: int) -> None:
        """Connect, join, stop reading."""
        client = Client(self.swarm, f"stalled-{number}", hello(f"stalled-{number}", "hall"))
        client.on_ready = self._stop_reading
        client.on_end = lambda client: self._cut(client, number)
        client.connect(self.swarm.port, receive_buffer=1)

    def _stop_reading(self, client: Client) -> None:
        self.stalls += 1
        client.stall()

    def _cut(self, client: Client, number: int) -> None:
        if self.going_on:
            if client.ready:
                self.lasted.append(client.ended - client.ready)
            self.swarm.later(0.2, lambda: self.come(number))


def main(seconds: float) -> None:
    verdict = Verdict("200 stalled readers among 2,200 members")
    with ServerProcess(cpu=SERVER_CPU) as server:
        swarm = Swarm(server.port)
        readers = swarm.open([f"reader-{n}" for n in range(READERS)], lambda _: "hall")
        observer = Observer(server.port, **PLAN)
        swarm.settle()
        observer.start()
        swarm.run(min(seconds, 20))
        before = observer.stop_while(swarm)

        swarm.settle()
        digests = [Digest(client) for client in readers]
        memory = server.memory()
        server.forget_peak()
        stalled = Stalled(swarm)
        observer.start()
        for number in range(STALLED):
            stalled.come(number)
        began = now()
        swarm.run(seconds)
        took = now() - began
        stalled.going_on = False
        during = observer.stop_while(swarm)
        grown = server.peak() - memory
        lost = sum(bool(client.ended) for client in readers)
        swarm.settle()
        counts = server.metrics()
        cuts = counts.get('hubbub_closes_total{code="4005"}', 0)
        observer.end()

    verdict.proof(
        f"{stalled.stalls} stalls in {took:.0f} s, {len(stalled.lasted)} cuts seen", stalled.stalls >= STALLED
    )
    same = len({(digest.crc, digest.size) for digest in digests})
    verdict.proof(f"members heard {digests[0].size / 1e6:.0f} MB each", digests[0].size > during["posts"] * 4096)
    limit = before["p99"] * 1.25 + 0.005
    verdict.figure(
        "p99 of the others",
        f"{ms(during['p99'])}, {ms(before['p99'])} before (p50 {ms(during['p50'])}, {ms(before['p50'])})",
        f"at most {ms(limit)}",
        during["p99"] <= limit,
    )
    harm = f"{during['missing']}, {during['disorder']} and {lost}"
    verdict.figure("lost, out of order, cut", harm, "0", not during["missing"] + during["disorder"] + lost)
    verdict.figure("different streams among 2,000 members", str(same - 1), "0", same == 1)
    longest = max(stalled.lasted, default=0.0)
    verdict.figure(
        "cut after", f"{percentile(stalled.lasted, 0.5):.1f} s, at most {longest:.1f} s", "10 s", 0 < longest <= 10
    )
    verdict.figure("closed with 4005", f"{cuts:.0f} of {len(stalled.lasted)} cuts", "all", cuts >= len(stalled.lasted))
    verdict.figure("memory at its peak", f"+{mb(grown)}", f"{STALLED} MiB", grown <= STALLED << 20)
    verdict.end()


if __name__ == "__main__":
    pin(LOAD_CPU)
    main(float(sys.argv[1]) if sys.argv[1:] else 60)
