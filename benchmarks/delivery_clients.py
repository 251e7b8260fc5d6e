"""Clients in a process of their own, for `delivery`: thousands of them, or clients that a signal can stop.

    python benchmarks/delivery_clients.py URL CLIENTS FIRST GROUPS

runs CLIENTS clients, named from ``u<FIRST>`` on, in GROUPS groups. It prints ``ready``; when it reads the last position
of each group on standard input, it waits until all clients have reached it, prints what they received, as JSON, and
ends.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import uvloop
from delivery_judge import History, Listener, begin, until

from hubbub.messages import Position


class ClientProcess:
    """The parent's handle of such a process.

    Attributes:
        histories: What its clients received, once it has ended.
        back: When each of its clients was connected, each time, on the clock that all processes share.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.histories: list[History] = []
        self.back: list[list[float]] = []

    @classmethod
    async def start(cls, url: str, clients: int, first: int, groups: int) -> ClientProcess:
        """Start one, and wait until its clients have joined."""
        arguments = [str(Path(__file__)), url, str(clients), str(first), str(groups)]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE, limit=2**30)
        clients_there = cls(process)
        assert await clients_there._line() == b"ready\n"
        return clients_there

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def end(self, positions: dict[str, Position]) -> None:
        """Wait until its clients have reached `positions`, by group, and read what they received."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({group: at.seq for group, at in positions.items()}).encode() + b"\n")
        for each in json.loads(await self._line()):
            history = History(each["group"])
            history.heard = [tuple(message) for message in each["heard"]]
            history.gaps = [tuple(gap) for gap in each["gaps"]]
            self.histories.append(history)
            self.back.append(each["back"])
        assert await self._process.wait() == 0

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        async with asyncio.timeout(120):
            return await self._process.stdout.readline()


async def _run(url: str, clients: int, first: int, groups: int) -> None:
    listeners = [Listener(url, f"u{number}", f"g{number % groups}") for number in range(first, first + clients)]
    await begin(listeners)
    print("ready", flush=True)
    ends: dict[str, int] = json.loads(await asyncio.to_thread(sys.stdin.readline))

    def is_there(each: Listener) -> bool:
        position = each.client.position
        return position is not None and position.seq >= ends[each.group]

    try:
        await until(lambda: all(map(is_there, listeners)))
    except TimeoutError:  # something is lost, and the verdict will say so
        print("a client has not received everything", file=sys.stderr)
    heard: list[dict[str, Any]] = [
        {"group": each.group, "heard": each.heard, "gaps": each.gaps, "back": each.back} for each in listeners
    ]
    print(json.dumps(heard), flush=True)
    await asyncio.gather(*(each.client.close_realtime() for each in listeners))


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], *map(int, sys.argv[2:])))
