"""A bystander: a process that posts, listens and sends a command every few milliseconds, and measures the latency.

Started by `support.observer_process.Observer` with a plan as JSON:

    port       of the server
    group      the group in which it posts and listens; null for no posts
    listeners  connections that listen
    rate       posts a second, from two further connections
    size       bytes of each message, all of them different
    probe      seconds between two probes (a listing of one group); 0 for none
    connect    seconds between two clients that connect, identify, join a group and leave; 0 for none

It reads ``start`` and ``stop`` from stdin and answers ``stop`` with one line of JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import sys
from typing import Any

from support.frames import CLOSE, PING, PONG, TEXT, command, frame
from support.report import percentile
from support.server_process import LOAD_CPU, pin
from support.swarm import Swarm
from support.swarm_client import Client, hello, now

PROBES = 4
"""Connections that take turns to send probes, so that none exceeds its rate limit."""


class Bystander:
    """The connections and their measurements."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.group = plan.get("group")
        self.swarm = Swarm(plan["port"])
        tag = f"observer-{os.getpid()}"
        self.posters = self._open([f"{tag}-poster-{n}" for n in range(2)] if self.group else [])
        self.listeners = self._open([f"{tag}-{n}" for n in range(plan.get("listeners", 20))] if self.group else [])
        self.probes = self.swarm.open([f"{tag}-probe-{n}" for n in range(PROBES)], lambda _: None)
        for client in self.listeners:
            client.listen(self._listen(client))
        for client in self.probes:
            client.listen(self._answer(client))
        self.reset()

    def _open(self, names: list[str]) -> list[Client]:
        return self.swarm.open(names, lambda _: self.group)

    def reset(self) -> None:
        """Discard the measurements."""
        self.latencies: list[float] = []
        self.answers: list[float] = []
        self.connects: list[float] = []
        self.refused = 0
        self.coming: set[Client] = set()
        self.asked: dict[int, float] = {}
        self.seqs: dict[Client, int] = {}
        self.disorder = self.posts = 0
        self.heard = 0
        self.numbers = itertools.count()

    # --- receiving ---

    def _listen(self, client: Client) -> Any:
        def take(first: int, payload: bytes) -> None:
            if first == PING:
                client.send(frame(payload, PONG))
            elif first == CLOSE:
                client.code = int.from_bytes(payload[:2], "big")
            elif first == TEXT and payload.startswith(b'{"type":"message"'):
                event = json.loads(payload)
                last = self.seqs.get(client)
                self.disorder += last is not None and event["seq"] != last + 1
                self.seqs[client] = event["seq"]
                if isinstance(event["message"], dict) and "t" in event["message"]:
                    self.latencies.append(now() - event["message"]["t"])
                    self.heard += 1

        return take

    def _answer(self, client: Client) -> Any:
        def take(first: int, payload: bytes) -> None:
            if first == PING:
                client.send(frame(payload, PONG))
            elif first == TEXT and payload.startswith(b'{"id":'):
                asked = self.asked.pop(int(payload[6 : payload.index(b",")]), None)
                if asked is not None:
                    self.answers.append(now() - asked)

        return take

    # --- sending ---

    def start(self) -> None:
        """Start to post and to send probes."""
        self.reset()
        self.stops = []
        if self.group:
            self.stops.append(self.swarm.every(1 / self.plan["rate"], self._post))
        if self.plan.get("probe"):
            self.stops.append(self.swarm.every(self.plan["probe"], self._ask))

        if self.plan.get("connect"):
            self.stops.append(self.swarm.every(self.plan["connect"], self._come))

    def _come(self) -> None:
        name = f"visitor-{os.getpid()}-{next(self.numbers)}"
        client = Client(self.swarm, name, hello(name, f"room of {name}"))
        client.on_ready = self._came
        client.on_end = self._gone
        self.coming.add(client)
        client.connect(self.plan["port"])

    def _came(self, client: Client) -> None:
        self.connects.append(client.ready - client.began)
        self.coming.discard(client)
        client.cut()

    def _gone(self, client: Client) -> None:
        self.refused += not client.ready
        self.coming.discard(client)

    def _post(self) -> None:
        number = next(self.numbers)
        padding = os.urandom(self.plan["size"] // 2).hex()  # unique
        message = {"t": now(), "n": number, "p": padding}
        self.posters[number % 2].send(command("post", to={"group": self.group}, message=message))
        self.posts += 1

    def _ask(self) -> None:
        number = next(self.numbers)
        self.asked[number] = now()
        self.probes[number % PROBES].send(command("groups", number, limit=1))

    def stop(self) -> dict[str, Any]:
        """Stop, wait for messages and replies that are under way, and return the figures."""
        for stop in self.stops:
            stop()
        expected = self.posts * len(self.listeners)
        self.swarm.run(10, lambda: self.heard >= expected and not self.asked and not self.coming)
        everybody = [*self.posters, *self.listeners, *self.probes]
        return {
            "posts": self.posts,
            "heard": self.heard,
            "missing": expected - self.heard,
            "disorder": self.disorder,
            "unanswered": len(self.asked),
            "lost": sum(bool(client.ended) for client in everybody),
            "p50": percentile(self.latencies, 0.50),
            "p99": percentile(self.latencies, 0.99),
            "max": max(self.latencies, default=0.0),
            "probe_p50": percentile(self.answers, 0.50),
            "probe_p99": percentile(self.answers, 0.99),
            "probe_max": max(self.answers, default=0.0),
            "probes": len(self.answers),
            "connects": len(self.connects),
            "connect_p99": percentile(self.connects, 0.99),
            "connect_max": max(self.connects, default=0.0),
            "not_connected": self.refused + len(self.coming),
        }


def main() -> None:
    pin(LOAD_CPU)
    with contextlib.suppress(OSError, AttributeError):  # only root may
        # It shares its core with the attackers, which must not delay its measurements.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    bystander = Bystander(json.loads(sys.argv[1]))
    print(json.dumps("ready"), flush=True)

    def on_line(_: int) -> None:
        line = sys.stdin.readline().strip()
        if line == "start":
            bystander.start()
        elif line == "stop":
            print(json.dumps(bystander.stop()), flush=True)
        else:
            sys.exit()

    bystander.swarm.watch_file(0, select.EPOLLIN, on_line)
    bystander.swarm.run(3600)


if __name__ == "__main__":
    main()
