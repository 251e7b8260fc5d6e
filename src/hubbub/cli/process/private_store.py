"""A Valkey for the workers of one server, on a Unix socket: started with them, restarted when it dies, ended with them.

Nobody but the server's user can reach it: it has no port, and its socket is in a folder with mode 0700. It keeps
nothing on disk. The system kills it when its parent has ended, for whatever reason (prctl(2), ``PR_SET_PDEATHSIG``).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import quote

from hubbub.backends.valkey.address import MAX_SOCKET_PATH
from hubbub.cli.process.private_folder import PrivateFolder
from hubbub.cli.process.store_binary import StoreBinary
from hubbub.errors import SettingsError
from hubbub.settings import Settings

SOCKET = "store.sock"
LOG = "store.log"
"""The names of its files in its folder."""

PATIENCE = 10.0
"""Seconds within which it must answer when it is started, and end when it is told to."""

DELAYS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each new start while it keeps dying; the last value is used for all further ones."""

STEADY = 60.0
"""Seconds after which a store that dies has not "kept dying"."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

log = logging.getLogger("hubbub.store")


def memory_limit(settings: Settings) -> int:
    """Return the bytes that the store of such a server may use; when they are used up, it refuses posts and joins.

    Twice what may be kept of messages (`Settings.history_total`) and of the feed, for what the store and fragmentation
    add, and two kilobytes for each connection of each worker.
    """
    assert settings.workers != "auto"
    kept = settings.history_total + settings.feed_bytes
    return 2 * kept + 2048 * settings.workers * settings.max_connections + 64 * 1024 * 1024


class PrivateStore:
    """The store of one server. Use it as a context manager: it answers when the block begins, and has ended after it.

    It does not watch itself: call `supervise` whenever one of `sentinels` is ready or `pauses` seconds have passed.

    Args:
        binary: The program.
        max_memory: Bytes that it may use.

    Attributes:
        url: The setting `backend` for the workers.
    """

    def __init__(self, binary: StoreBinary, max_memory: int) -> None:
        self.url = ""
        self._binary = binary
        self._max_memory = max_memory
        self._folder: PrivateFolder
        self._process: subprocess.Popen[bytes] | None = None
        self._sentinel = -1
        self._failures = 0
        self._started = self._due = 0.0

    def __enter__(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            SettingsError: It cannot be started; the text has what it printed.
        """
        if sys.platform != "linux":
            raise SettingsError(
                "several workers share a private store on Linux only: set --backend (HUBBUB_BACKEND) to a Valkey server"
            )
        self._folder = PrivateFolder(MAX_SOCKET_PATH - len(f"/{SOCKET}"))
        self.url = f"valkey+unix://{quote(str(self._folder.path / SOCKET))}"
        try:
            self._start()
            self._wait_until_it_answers()
        except BaseException:
            self._end()
            raise
        path, version = self._binary
        log.info("started a private store: %s %s, with at most %d MB", path, version, self._max_memory // 1_000_000)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it, and remove its folder."""
        self._end()

    def sentinels(self) -> list[int]:
        """Return file descriptors of which one can be read when the store has ended."""
        return [] if self._process is None else [self._sentinel]

    def pauses(self) -> list[float]:
        """Return the seconds after which to call `supervise` even if no sentinel is ready: one number or none."""
        return [] if self._process is not None else [self._due - time.monotonic()]

    def supervise(self) -> None:
        """Start it again if it has ended. Does not wait until it answers: the workers reconnect by themselves."""
        if self._process is not None and _is_readable(self._sentinel):
            self._note_end(self._process.wait())
        if self._process is None and time.monotonic() >= self._due:
            try:
                self._start()
            except SettingsError as error:
                log.error("%s", error)
                self._plan_restart()

    # --- one process ---

    def _start(self) -> None:
        path, limit = self._folder.path, str(self._max_memory)
        command = [
            self._binary.path, "--port", "0", "--unixsocket", str(path / SOCKET), "--unixsocketperm", "700",
            "--save", "", "--appendonly", "no", "--maxmemory", limit, "--maxmemory-policy", "noeviction",
            "--dir", str(path), "--daemonize", "no", "--loglevel", "warning",
        ]  # fmt: skip
        self._started = time.monotonic()
        self._sentinel, held = os.pipe()  # the read end gets its end of file when no process holds the other end
        try:
            with (path / LOG).open("wb") as output:
                self._process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[held],
                    start_new_session=True,  # Ctrl-C in a terminal reaches only the parent
                    preexec_fn=_die_with_parent(),
                )
        except (OSError, subprocess.SubprocessError) as error:
            os.close(self._sentinel)
            raise SettingsError(f"cannot start the private store {self._binary.path}: {error}") from None
        finally:
            os.close(held)

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        until = time.monotonic() + PATIENCE
        while not _answers(str(self._folder.path / SOCKET)):
            if self._process.poll() is not None or time.monotonic() > until:
                raise SettingsError(f"the private store {self._binary.path} did not start: {self._last_words()}")
            time.sleep(0.01)

    def _note_end(self, code: int) -> None:
        os.close(self._sentinel)
        self._process = None
        if time.monotonic() - self._started > STEADY:
            self._failures = 0
        self._plan_restart()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}: {self._last_words()}"
        log.error("the private store %s; it starts again, empty: clients get a gap where messages may be missing", how)

    def _plan_restart(self) -> None:
        self._due = time.monotonic() + DELAYS[min(self._failures, len(DELAYS) - 1)]
        self._failures += 1

    def _last_words(self) -> str:
        """Return the last line that it has printed."""
        with suppress(OSError):
            lines = (self._folder.path / LOG).read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else "it printed nothing"
        return "it printed nothing"

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            os.close(self._sentinel)
            self._process = None
        self._folder.close()


def _die_with_parent() -> Callable[[], None]:
    """Return what the new process does before it becomes the store: ask the system to kill it when we have ended."""
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(1)

    return ask


def _answers(path: str) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(path)
        client.sendall(b"PING\r\n")
        return client.recv(100).startswith(b"+PONG")
    return False


def _is_readable(descriptor: int) -> bool:
    """Return whether the other end of a pipe is closed: nothing is ever written to it."""
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 1) == b""
    except BlockingIOError:
        return False
