"""A local server for a load run: ``hubbub serve`` in its own process, on a free port."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hubbub.errors import HubbubError


class LocalServer:
    """A running server. `url` is its address."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._pid = pid

    def cpu(self) -> float | None:
        """Return the CPU seconds that the server, with its workers and store, has used; None without ``/proc``."""
        try:
            return sum(map(_cpu_seconds, _with_children(self._pid)))
        except OSError:
            return None


def _with_children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # a kernel that does not list them
        found = []
    return [pid, *(each for child in found for each in _with_children(int(child)))]


def _cpu_seconds(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime and stime


@asynccontextmanager
async def local_server(connections: int, workers: int = 1) -> AsyncIterator[LocalServer]:
    """Run a server with `workers` for `connections` guests, without a rate limit and otherwise with default settings.

    Raises:
        HubbubError: The server did not start. It has printed the reason to stderr.
    """
    # fmt: off
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hubbub.cli", "serve", "--config", os.devnull, "--port", "0", "--rate-limit", "0",
        "--max-connections", str(connections + 10), "--log-level", "error", "--workers", str(workers),
        stdout=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")},
    )
    # fmt: on
    assert process.stdout is not None
    try:
        address = re.search(r"http://\S+", (await process.stdout.readline()).decode())
        if address is None:
            raise HubbubError("the local server for the run did not start; see its error above")
        yield LocalServer(address[0], process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
