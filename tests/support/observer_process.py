"""Runs `support.observer` as a process of its own and asks it to measure. Importing this changes nothing."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.swarm import Swarm


class Observer:
    """A process that posts and listens as an ordinary client and measures; see `observer.py`."""

    def __init__(self, port: int, **plan: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.observer", json.dumps({"port": port, **plan})],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def start(self) -> None:
        """Begin to post and to measure."""
        self._write("start")

    def stop(self) -> dict[str, Any]:
        """Stop posting, wait for the last messages, and return the measurements since `start` (in seconds)."""
        self._write("stop")
        return self._read()

    @property
    def file(self) -> int:
        """The file descriptor that becomes readable when the answer to ``stop`` has arrived."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def stop_while(self, swarm: Swarm) -> dict[str, Any]:
        """Do the same as `stop` while the clients of `swarm` keep running."""
        done: list[dict[str, Any]] = []
        swarm.watch_file(self.file, select.EPOLLIN, lambda _: done.append(self._read()))
        self._write("stop")
        swarm.run(60, lambda: done)
        swarm.forget_file(self.file)
        return done[0]

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit("the observer has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
