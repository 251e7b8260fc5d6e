"""What a mounted hub costs: deliveries per CPU-second of the server, in each of the three ways to run it.

    python benchmarks/embedding.py [tier1 tier2 tier3] [--pairs N]

Tiers 1 and 2 are compared with ``hubbub serve``, tier 3 with a loop of ``send_text`` in Starlette on the same server.
The two take turns, each on one core with the load on the other. Prints the median of the ratios of the pairs, with an
interval that holds it in 95 of 100 cases (bootstrap).
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.frames import HANDSHAKE, command
from support.report import Verdict
from support.server_process import LOAD_CPU, SERVER_CPU, cpu_time, environment, pin
from support.swarm import Swarm
from support.swarm_client import Client
from support.waiting import PATIENCE

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
MOUNTED = HANDSHAKE.replace(b"GET /v1/", b"GET /realtime/v1/")
NO_LIMITS = ("--rate-limit", "0", "--max-connections", "5000", "--max-connections-per-user", "5000")
QUIET = ("--log-level", "error")

WAYS: dict[str, tuple[tuple[str, ...], bytes]] = {
    "serve": (("hubbub", "serve", "--config", os.devnull, *NO_LIMITS), HANDSHAKE),
    "tier1": (("hubbub", "serve", "--app", "embedding_app:hub_app"), MOUNTED),
    "tier2": (("uvicorn", "embedding_app:hub_app", "--ws", "hubbub.contrib.uvicorn:WebSockets"), MOUNTED),
    "tier3": (("uvicorn", "embedding_app:hub_app"), MOUNTED),
    "loop": (("uvicorn", "embedding_app:loop_app"), MOUNTED),
}
COMPARED = {"tier1": ("serve", 0.97), "tier2": ("serve", 0.97), "tier3": ("loop", 0.95)}

MEMBERS, GROUPS, POSTERS, SECONDS = 50, 10, 2, 3.0


def deliveries(way: str) -> float:
    """Run a server and a load; return deliveries per CPU-second of the server."""
    words, request = WAYS[way]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [BIN / words[0], *words[1:], "--port", str(port), *QUIET],
        stdout=subprocess.DEVNULL,
        env=environment(PYTHONPATH=str(HERE)),
        preexec_fn=partial(pin, SERVER_CPU),
    )
    try:
        _wait_for(port)
        return _load(port, request, server.pid)
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    sys.exit("the server does not listen")


def _load(port: int, request: bytes, pid: int) -> float:
    """Let each poster send its next message as soon as the last one is answered; count what everybody receives."""
    swarm, received = Swarm(port), 0

    def count(data: bytes) -> None:
        nonlocal received
        received += data.count(b'"type":"message"') + data.count(b'"type": "message"')

    def post_again(client: Client, post: bytes, data: bytes) -> None:
        count(data)
        if b'"recipients"' in data:
            client.send(post)

    names = [f"user-{number}" for number in range(MEMBERS * GROUPS)]
    clients = swarm.open(names, lambda name: f"group {int(name[5:]) % GROUPS}", request=request)
    swarm.run(0.5)
    for number, client in enumerate(clients):
        if number < GROUPS * POSTERS:
            post = command("post", 3, to=f"group {int(client.name[5:]) % GROUPS}", message={"text": "x" * 200})
            client.on_data = partial(post_again, client, post)
            client.send(post)
        else:
            client.on_data = count
    swarm.run(0.5)
    received, before = 0, cpu_time(pid)
    swarm.run(SECONDS)
    rate = received / (cpu_time(pid) - before)
    swarm.close(clients)
    return rate


def compare(way: str, pairs: int, verdict: Verdict) -> None:
    """Measure one tier against what it is compared with."""
    other, goal = COMPARED[way]
    found: dict[str, list[float]] = {way: [], other: []}
    for number in range(pairs):
        for each in (way, other) if number % 2 else (other, way):
            found[each].append(deliveries(each))
    ratios = [mine / theirs for mine, theirs in zip(found[way], found[other], strict=True)]
    medians = sorted(statistics.median(random.choices(ratios, k=pairs)) for _ in range(5000))
    low, high = medians[125], medians[-126]
    text = f"{statistics.median(ratios):.3f} of {other}, 95 % interval {low:.3f} to {high:.3f} ({pairs} pairs; "
    text += f"{statistics.median(found[way]):,.0f} and {statistics.median(found[other]):,.0f} per CPU-second)"
    verdict.figure(way, text, f"the interval reaches {goal}", high >= goal)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("ways", nargs="*", choices=[[], *COMPARED], default=[])
    parser.add_argument("--pairs", type=int, default=15)
    given = parser.parse_args()
    pin(LOAD_CPU)
    verdict = Verdict(f"{GROUPS} groups of {MEMBERS}, {POSTERS} posters each, 200 bytes")
    for way in given.ways or COMPARED:
        compare(way, given.pairs, verdict)
    verdict.end()
