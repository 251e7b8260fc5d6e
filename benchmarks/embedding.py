"""What a mounted hub costs: deliveries per CPU-second of the server, in each of the three ways to run it.

    python benchmarks/embedding.py [tier1 tier2 tier3] [--pairs N] [--collect FILE]

Tiers 1 and 2 are compared with ``hubbub serve``, tier 3 with a loop of ``send_text`` in Starlette on the same server.
The two take turns, each on one core with the load on the other. Prints the median of the ratios of the pairs, with an
interval that holds it in 95 of 100 cases (bootstrap). With ``--collect``, pairs are added to those that earlier calls
have left in a file: for a machine that others need, too.
"""

from __future__ import annotations

import argparse
import json
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

MEMBERS, GROUPS, POSTERS = 50, 10, 2


def deliveries(way: str, seconds: float) -> float:
    """Run a server and a load for `seconds`; return deliveries per CPU-second of the server."""
    words, request = WAYS[way]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [BIN / words[0], *words[1:], "--port", str(port), *QUIET],
        stdout=subprocess.DEVNULL,
        env=environment(PYTHONPATH=os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)),
        preexec_fn=partial(pin, SERVER_CPU),
    )
    try:
        _wait_for(port)
        return _load(port, request, server.pid, seconds)
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


def _load(port: int, request: bytes, pid: int, seconds: float) -> float:
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
    swarm.run(seconds)
    rate = received / (cpu_time(pid) - before)
    swarm.close(clients)
    return rate


def compare(way: str, pairs: int, seconds: float, collected: Path | None, verdict: Verdict) -> None:
    """Measure one tier against what it is compared with."""
    other, goal = COMPARED[way]
    found: list[dict[str, float]] = []
    if collected is not None and collected.exists():
        found = [
            pair for line in collected.read_text().splitlines() if (pair := json.loads(line)).keys() == {way, other}
        ]
    for number in range(pairs):
        pair = {each: deliveries(each, seconds) for each in ((way, other) if number % 2 else (other, way))}
        found.append(pair)
        if collected is not None:
            with collected.open("a") as file:
                file.write(json.dumps(pair) + "\n")
    ratios = [pair[way] / pair[other] for pair in found]
    medians = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(5000))
    low, high = medians[125], medians[-126]
    mine, theirs = (statistics.median(pair[each] for pair in found) for each in (way, other))
    text = f"{statistics.median(ratios):.3f} of {other}, 95 % interval {low:.3f} to {high:.3f} ({len(found)} pairs; "
    text += f"{mine:,.0f} and {theirs:,.0f} per CPU-second)"
    verdict.figure(way, text, f"the interval reaches {goal}", high >= goal)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("ways", nargs="*", choices=[[], *COMPARED], default=[])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each run is measured")
    parser.add_argument("--collect", type=Path, help="a file of pairs, which is read and added to")
    given = parser.parse_args()
    pin(LOAD_CPU)
    verdict = Verdict(f"{GROUPS} groups of {MEMBERS}, {POSTERS} posters each, 200 bytes")
    for way in given.ways or COMPARED:
        compare(way, given.pairs, given.seconds, given.collect, verdict)
    verdict.end()
