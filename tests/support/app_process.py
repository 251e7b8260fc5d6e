"""An app that any server runs as a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.server_process import environment
from support.waiting import PATIENCE

TESTS = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

APP = "support.mounted_app:app"


@dataclass
class AppProcess:
    """A server with an app.

    Attributes:
        url: Its address.
        process: The process.
    """

    url: str
    process: asyncio.subprocess.Process
    _log: Path

    def log(self) -> str:
        """Return what it has printed."""
        return self._log.read_text()

    async def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@asynccontextmanager
async def app_process(
    *command: str, app: str = APP, folder: Path | None = None, **variables: str
) -> AsyncIterator[AppProcess]:
    """Run a server until the block ends; it has begun to answer then.

    Args:
        command: A program beside this Python, and its arguments; ``{port}`` and ``{app}`` stand for these.
        app: The app.
        folder: Where it runs; an empty one if none is given.
        variables: For its environment.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [each.format(port=port, app=app) for each in command]
    with tempfile.TemporaryDirectory() as empty:
        log = Path(empty, "log")
        with log.open("wb") as output:  # noqa: ASYNC230  # it is empty
            process = await asyncio.create_subprocess_exec(
                BIN / arguments[0],
                *arguments[1:],
                cwd=folder or empty,
                env=environment(PYTHONPATH=str(TESTS), **variables),
                stdout=output,
                stderr=output,
            )
        running = AppProcess(f"http://127.0.0.1:{port}", process, log)
        try:
            await _answers(running)
            yield running
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _answers(running: AppProcess) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client, asyncio.timeout(PATIENCE):
        while True:
            assert running.process.returncode is None, running.log()
            try:
                await client.get(f"{running.url}/hello")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
