"""2,000 unfinished handshakes, 2,000 clients that never identify, 500 that send a byte a second.

Each reconnects when it is cut. Meanwhile other clients must be able to connect within 100 ms.

    python benchmarks/abuse/handshakes.py [seconds]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import HANDSHAKE
from support.observer_process import Observer
from support.report import Verdict, ms
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, pin
from support.swarm import Swarm
from support.swarm_client import Client

HALF, SILENT, DRIPPING = 2000, 2000, 500


class Hostile:
    """Hostile connections of one kind; one that is cut is replaced."""

    def __init__(self, swarm: Swarm, count: int, request: bytes, drip: bytes = b"") -> None:
        self.swarm = swarm
        self.request = request
        self.drip = drip
        self.lasted: list[float] = []
        self.codes: set[int] = set()
        self.present: dict[Client, int] = {}
        self.most = 0
        self.going_on = True
        for number in range(count):  # all within a second
            swarm.later(number / count, self.open)
        if drip:
            swarm.every(1, self._drip)

    def open(self) -> None:
        """Open one."""
        client = Client(self.swarm, "", [], self.request)
        client.on_end = self._cut
        self.present[client] = 0
        self.most = max(self.most, len(self.present))
        client.connect(self.swarm.port)

    def _drip(self) -> None:
        for client, sent in list(self.present.items()):
            client.send(self.drip[sent : sent + 1])
            if client in self.present:
                self.present[client] = sent + 1

    def _cut(self, client: Client) -> None:
        del self.present[client]
        if self.going_on:
            self.lasted.append(client.ended - client.began)
            self.codes.add(client.code if client.status == 101 else client.status)
            self.swarm.later(0.1, self.open)


def main(seconds: float) -> None:
    verdict = Verdict("Unfinished handshakes, clients that never identify, clients that send a byte a second")
    with ServerProcess(cpu=SERVER_CPU) as server:
        swarm = Swarm(server.port)
        observer = Observer(server.port, group=None, connect=0.02, probe=0.005)
        observer.start()
        swarm.run(5)
        before = observer.stop_while(swarm)
        observer.start()
        kinds = {
            "unfinished handshakes": Hostile(swarm, HALF, HANDSHAKE[: len(HANDSHAKE) // 2]),
            "never identified": Hostile(swarm, SILENT, HANDSHAKE),
            "one byte a second": Hostile(swarm, DRIPPING, HANDSHAKE[:1], HANDSHAKE[1:]),
        }
        swarm.run(seconds)
        for hostile in kinds.values():
            hostile.going_on = False
        during = observer.stop_while(swarm)
        observer.end()
    for (kind, hostile), count in zip(kinds.items(), (HALF, SILENT, DRIPPING), strict=True):
        verdict.proof(
            f"{kind}: {hostile.most} at once, {len(hostile.lasted)} cut {sorted(hostile.codes)}",
            hostile.most >= 0.9 * count,
        )
        shortest, longest = min(hostile.lasted, default=0.0), max(hostile.lasted, default=0.0)
        verdict.figure(
            f"{kind}: cut after", f"{shortest:.1f} to {longest:.1f} s", "5 to 10 s", shortest >= 4.99 and longest <= 10
        )
    verdict.figure(
        "healthy connects, p99",
        f"{ms(during['connect_p99'])} of {during['connects']}, longest {ms(during['connect_max'])};"
        f" {ms(before['connect_p99'])} before",
        "100 ms",
        during["connect_p99"] <= 0.1,
    )
    verdict.figure("healthy connects that failed", str(during["not_connected"]), "0", not during["not_connected"])
    verdict.figure("longest stall", ms(during["probe_max"]), "100 ms", during["probe_max"] <= 0.1)
    verdict.end()


if __name__ == "__main__":
    pin(LOAD_CPU)
    main(float(sys.argv[1]) if sys.argv[1:] else 25)
