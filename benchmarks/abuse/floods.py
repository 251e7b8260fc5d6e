"""One client floods as fast as it can, and comes back when it is cut. 200 members of a group must not pay for it.

python benchmarks/abuse/floods.py [flood ...]     one or more of those in FLOODS; all without arguments
"""

from __future__ import annotations

import itertools
import select
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import PING, TEXT, command, frame
from support.observer_process import Observer
from support.report import Verdict, mb, ms
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, pin
from support.swarm import Swarm
from support.swarm_client import Client, hello

SECONDS = 8
COME_BACK = 0.25
"""Seconds until a flooder that was cut is back; our own clients would wait half of that at first, then longer."""


def repeat(data: bytes, times: int) -> Iterator[bytes]:
    return itertools.repeat(data * times)


def begun(first: bytes, rest: bytes, times: int) -> Iterator[bytes]:
    return itertools.chain([first], repeat(rest, times))


def joins() -> Iterator[bytes]:
    for number in itertools.count(1):
        yield command("join", number, group="hall") + command("leave", number)


def names() -> Iterator[bytes]:
    for number in itertools.count(1):
        yield command("join", number, group=f"group {number % 100_000}")


FLOODS = {
    "pings": lambda: repeat(frame(b"", PING), 1000),
    "large pings": lambda: repeat(frame(b"x" * 125, PING), 100),
    "one-byte frames": lambda: repeat(frame(b"x"), 1000),
    "one-byte fragments": lambda: begun(frame(b"x", 0x01), frame(b"x", 0x00), 1000),
    "empty fragments": lambda: begun(frame(b"", 0x01), frame(b"", 0x00), 1000),
    "a message that never ends": lambda: begun(frame(b"[", 0x01), frame(b" " * 1400, 0x00), 10),
    "a frame that never ends": lambda: begun(
        bytes((TEXT, 0xFF)) + (1 << 40).to_bytes(8, "big") + bytes(4), b" ", 10_000
    ),
    "joins and leaves": joins,
    "100,000 group names": names,
}


class Flooder:
    """One client at a time that sends all it can."""

    def __init__(self, swarm: Swarm, kind: str) -> None:
        self.swarm = swarm
        self.kind = kind
        self.sent = self.limited = self.cuts = self.comings = 0
        self.codes: set[int] = set()
        self.going_on = True
        self.come()

    def come(self) -> None:
        """Connect; then flood."""
        self.comings += 1
        self.data = FLOODS[self.kind]()
        self.left = b""
        self.tail = b""
        self.client = Client(self.swarm, "flooder", hello("flooder", None))
        self.client.on_ready = self._flood
        self.client.on_end = self._cut
        self.client.connect(self.swarm.port)

    def _flood(self, client: Client) -> None:
        assert client.socket is not None
        self.swarm.watch_file(client.socket.fileno(), select.EPOLLIN | select.EPOLLOUT, self._on_event)

    def _on_event(self, events: int) -> None:
        client = self.client
        if events & select.EPOLLIN:
            try:
                data = client.socket.recv(1 << 18) if client.socket else b""
            except BlockingIOError:
                data = None
            except OSError:
                data = b""
            if data == b"":
                client.end(1006)
                return
            if data:
                self.limited += data.count(b'"RATE_LIMITED"')
                self.tail = (self.tail + data)[-200:]
        if events & select.EPOLLOUT and self.going_on:
            if not self.left:
                self.left = next(self.data)
            sent = client.send(self.left)
            self.left = self.left[sent:]
            self.sent += sent
        elif events & ~select.EPOLLIN:
            client.end(1006)

    def _cut(self, client: Client) -> None:
        at = self.tail.rfind(b"\x88")
        self.codes.add(int.from_bytes(self.tail[at + 2 : at + 4], "big") if at >= 0 else 1006)
        self.cuts += 1
        if self.going_on:
            self.swarm.later(COME_BACK, self.come)


def run(verdict: Verdict, kind: str) -> None:
    with ServerProcess(cpu=SERVER_CPU) as server:
        swarm = Swarm(server.port)
        members = swarm.open([f"member-{n}" for n in range(200)], lambda _: "hall")
        observer = Observer(server.port, group="hall", listeners=20, rate=50, size=200, probe=0.005)
        swarm.settle()
        observer.start()
        swarm.run(SECONDS)
        before = observer.stop_while(swarm)
        memory = server.memory()
        server.forget_peak()
        observer.start()
        cpu = server.cpu()
        flooder = Flooder(swarm, kind)
        swarm.run(SECONDS)
        cpu = server.cpu() - cpu
        flooder.going_on = False
        during = observer.stop_while(swarm)
        grown = server.peak() - memory
        lost = sum(bool(client.ended) for client in members) + during["lost"]
        observer.end()
    how = f"{flooder.sent / 1e6:.2f} MB sent, {flooder.limited} times RATE_LIMITED, cut {flooder.cuts} times"
    verdict.proof(f"{kind}: {how} {sorted(flooder.codes)}, server at {cpu / SECONDS:.0%}", flooder.sent > 5000)
    limit = 2 * before["p99"]
    verdict.figure(
        f"{kind}: p99 of the others",
        f"{ms(during['p99'])}, {ms(before['p99'])} before; probes {ms(during['probe_p99'])}, {ms(before['probe_p99'])}"
        f" before, longest {ms(during['probe_max'])}",
        f"at most {ms(limit)}",
        during["p99"] <= limit,
    )
    verdict.figure(
        f"{kind}: limited or cut", str(flooder.limited + flooder.cuts), "some", flooder.limited + flooder.cuts > 0
    )
    harm = during["missing"] + during["disorder"] + during["unanswered"] + lost
    verdict.figure(f"{kind}: lost by others", str(harm), "0", not harm)
    verdict.figure(f"{kind}: memory", f"+{mb(grown)}", "2 MiB", grown <= 2 << 20)


if __name__ == "__main__":
    pin(LOAD_CPU)
    verdict = Verdict("Floods by one client")
    for name in sys.argv[1:] or FLOODS:
        run(verdict, name)
    verdict.end()
