"""``hubbub serve --workers N``: several nodes on one port, each in a process; the system distributes connections."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, Protocol, TypeVar, cast

from hubbub.errors import HubbubError
from hubbub.listeners import reserve_port


class Address(Protocol):
    """Settings of a server, a dataclass: those that matter here."""

    @property
    def host(self) -> str:
        """Address to listen on."""
        ...

    @property
    def port(self) -> int:
        """Port to listen on."""
        ...

    @property
    def workers(self) -> int:
        """How many processes there are."""
        ...


A = TypeVar("A", bound=Address)

Work = Callable[[A, bool], None]
"""What a worker runs, a function of a module: serves with the settings, and prints the address if the flag is true."""


def run_workers(settings: A, work: Work[A]) -> None:
    """Run ``settings.workers`` processes until SIGTERM or SIGINT stops them. A process that is killed is replaced.

    Raises:
        SettingsError: The server cannot listen on the address.
        HubbubError: A worker could not start, or failed. It has printed the reason.
    """
    port = reserve_port(settings.host, settings.port)  # kept while workers come and go
    _Workers(replace(cast(Any, settings), port=port.getsockname()[1]), work).run()
    port.close()


class _Workers:
    def __init__(self, settings: Any, work: Work[Any]) -> None:
        self._settings = settings
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._running: list[SpawnProcess] = []
        self._stopping = False

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        for n in range(self._settings.workers):
            self._start(announces=n == 0)
        failed = False
        while self._running:
            wait([worker.sentinel for worker in self._running])
            for worker in [worker for worker in self._running if worker.exitcode is not None]:
                self._running.remove(worker)
                assert worker.exitcode is not None
                if self._stopping:
                    continue
                if worker.exitcode < 0:
                    self._start(announces=False)
                else:
                    failed = True
                    self._stop(signal.SIGTERM)
        if failed:
            raise HubbubError("a worker has failed; its last lines above say why")

    def _start(self, *, announces: bool) -> None:
        worker = self._context.Process(target=_run_worker, args=(self._work, self._settings, announces))
        worker.start()
        self._running.append(worker)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop(number)

    def _stop(self, number: int) -> None:
        self._stopping = True
        for worker in self._running:
            if worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, number)


def _run_worker(work: Work[A], settings: A, announces: bool) -> None:
    """Run a worker in a session of its own, so that Ctrl-C in a terminal reaches only the parent."""
    os.setsid()
    try:
        work(settings, announces)
    except HubbubError as error:
        print(f"hubbub: {error}", file=sys.stderr)
        sys.exit(1)
