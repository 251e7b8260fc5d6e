"""What one server carries: memory per connection, connections a second, stalls of its loop, the cost of pings.

    python benchmarks/capacity.py [memory connect stall pings]     all of them without arguments

The server runs as people run it, in a process of its own, on one core; everything is measured from outside: memory and
CPU in /proc, stalls as the answers to questions that another process asks every 5 ms.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.frames import PING, command
from support.observer_process import Observer
from support.report import Verdict, ms
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, pin
from support.swarm import Swarm
from support.swarm_client import Client, Digest, now

CONNECTIONS = 10_000


def idle(swarm: Swarm, count: int = CONNECTIONS, members: int = 100) -> list[Client]:
    """Open idle connections in groups of `members`."""
    clients = swarm.open([f"idle-{n}" for n in range(count)], lambda name: f"room {int(name[5:]) // members}")
    swarm.settle()
    return clients


def memory(verdict: Verdict) -> None:
    """Memory for each connection that is identified, in a group of 100, and idle."""
    with ServerProcess(cpu=SERVER_CPU) as server:
        swarm = Swarm(server.port)
        first = idle(swarm, 1000)  # what the process needs once is not what a connection needs
        before = server.memory()
        more = swarm.open([f"more-{n}" for n in range(CONNECTIONS)], lambda name: f"more {int(name[5:]) // 100}")
        swarm.settle()
        time.sleep(1)
        each = (server.memory() - before) / CONNECTIONS
        verdict.proof(f"{len(first) + len(more)} connections were in", server.metrics()["hubbub_connections"] == 11_000)
        verdict.figure("memory per joined idle connection", f"{each / 1000:.2f} kB", "5 kB", each <= 5000)
        swarm.close(first + more)


def connect(verdict: Verdict) -> None:
    """Connections a second, each with identification and a group; the figure counts the server's CPU time only."""
    with ServerProcess(cpu=SERVER_CPU) as server:
        swarm = Swarm(server.port)
        began, cpu = now(), server.cpu()
        clients = swarm.open([f"c-{n}" for n in range(CONNECTIONS)], lambda name: f"room {int(name[2:]) // 100}")
        wall, used = now() - began, server.cpu() - cpu
        rate = len(clients) / used
        verdict.proof(f"{len(clients)} connections in {wall:.2f} s", len(clients) == CONNECTIONS)
        measured = f"{rate:.0f} per server-CPU-second, {CONNECTIONS / wall:.0f} a second"
        verdict.figure("connect + identify + join", measured, "5000/s", CONNECTIONS / wall >= 5000)
        swarm.close(clients)


def stall(verdict: Verdict) -> None:
    """Longest stall with 10,000 idle, then with fan-outs to 10,000 members and the largest messages."""
    with ServerProcess("--max-connections", "21000") as server:
        swarm = Swarm(server.port)
        observer = Observer(server.port, group=None, probe=0.005)
        observer.start()
        clients = idle(swarm)
        coming = observer.stop_while(swarm)
        observer.start()
        swarm.run(5)
        quiet = observer.stop_while(swarm)
        swarm.close(clients)
        swarm.run(1)
        fan = swarm.open([f"fan-{n}" for n in range(9000)], lambda _: "all")
        clients = fan + swarm.open([f"idle-{n}" for n in range(1000)], lambda name: f"room {int(name[5:]) // 100}")
        swarm.settle()
        digests = [Digest(client) for client in fan]
        poster = swarm.open(["poster"], lambda _: "all")[0]
        swarm.settle()
        sizes = [20] * 10 + [65_000] * 3
        results = {}
        for label, message, times in (("small", "x" * 20, 10), ("largest", "x" * 65_500, 3)):
            observer.start()
            for _ in range(times):
                poster.send(command("post", to="all", message=message))
                swarm.run(1)
            swarm.run(1)
            results[label] = observer.stop_while(swarm)
        least = sum(9000 * size for size in sizes)
        heard = sum(digest.size for digest in digests)
        verdict.proof(f"members heard {heard / 1e6:.0f} MB", heard >= least)
        for label, result in [("10,000 come", coming), ("10,000 idle", quiet), *results.items()]:
            longest = result["probe_max"]
            verdict.figure(
                f"longest stall, {label}", f"{ms(longest)}, p99 {ms(result['probe_p99'])}, {result['probes']} probes",
                "50 ms", longest <= 0.05,
            )  # fmt: skip
        swarm.close(clients)
        observer.end()


def pings(verdict: Verdict) -> None:
    """What 10,000 idle connections cost with pings on: one every 25 s, the default."""
    with ServerProcess(cpu=SERVER_CPU) as server:
        swarm = Swarm(server.port)
        clients = idle(swarm)
        swarm.run(30)
        heard = 0

        def count(client: Client, first: int, payload: bytes) -> None:
            nonlocal heard
            heard += first == PING
            client.take(first, payload)

        for client in clients:
            client.listen(partial(count, client))
        began, cpu = now(), server.cpu()
        swarm.run(50)
        share = (server.cpu() - cpu) / (now() - began)
        lost = sum(bool(client.ended) for client in clients)
        verdict.proof(f"{heard} pings were heard, {lost} connections lost", heard >= 10_000 and not lost)
        verdict.figure("10,000 idle with pings", f"{share:.1%} of a core", "5 %", share <= 0.05)
        swarm.close(clients)


if __name__ == "__main__":
    pin(LOAD_CPU)
    verdict = Verdict("Capacity")
    for name in sys.argv[1:] or ["memory", "connect", "stall", "pings"]:
        {"memory": memory, "connect": connect, "stall": stall, "pings": pings}[name](verdict)
    verdict.end()
