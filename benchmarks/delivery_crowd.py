"""Clients in a process of their own, for `delivery`: many of them, or such as can be stopped by a signal.

    python benchmarks/delivery_crowd.py URL CLIENTS FIRST GROUPS

runs the clients ``u<FIRST>`` and so on, spread over so many groups. It says ``ready``; told on standard input how far
each group has come, it waits until everybody is there, prints what they were given, as JSON, and ends.
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


class Crowd:
    """Such a process, seen from outside.

    Attributes:
        histories: What its clients were given, once it has ended.
        back: When each of its clients was connected, each time, on the clock that all processes share.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.histories: list[History] = []
        self.back: list[list[float]] = []

    @classmethod
    async def start(cls, url: str, clients: int, first: int, groups: int) -> Crowd:
        """Start one, and wait until its clients are in."""
        arguments = [str(Path(__file__)), url, str(clients), str(first), str(groups)]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE, limit=2**30)
        crowd = cls(process)
        assert await crowd._line() == b"ready\n"
        return crowd

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def end(self, positions: dict[str, Position]) -> None:
        """Let it hear everything up to `positions`, by group, and take over what it has heard."""
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
    except TimeoutError:  # then something is lost, and the judge says so
        print("somebody has not heard everything", file=sys.stderr)
    heard: list[dict[str, Any]] = [
        {"group": each.group, "heard": each.heard, "gaps": each.gaps, "back": each.back} for each in listeners
    ]
    print(json.dumps(heard), flush=True)
    await asyncio.gather(*(each.client.close_realtime() for each in listeners))


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], *map(int, sys.argv[2:])))
