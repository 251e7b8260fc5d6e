"""``hubbub serve --workers N``: several nodes on one port, each in a process; the system distributes connections.

They share the store that the settings name, or a private one, which is started and ended with them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, Protocol, TypeVar, cast

from hubbub.cli.process.private_store import PrivateStore
from hubbub.errors import HubbubError
from hubbub.listeners import reserve_port

REPLACEMENT = "replacement"
"""The name of worker processes that replace one that was killed."""

RETRY = 1.0
"""Seconds after which a replacement is started again that could not start."""


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
    def workers(self) -> int | str:
        """How many processes there are."""
        ...


A = TypeVar("A", bound=Address)

Work = Callable[[A, bool], None]
"""What a worker runs, a function of a module: serves with the settings, and prints the address if the flag is true."""


def run_workers(settings: A, work: Work[A], store: PrivateStore | None = None) -> None:
    """Run ``settings.workers`` processes until SIGTERM or SIGINT stops them. A process that is killed is replaced.

    Args:
        settings: What the workers serve with; the backend is one that processes can share.
        work: What a worker runs.
        store: A private store that is started again when it ends.

    Raises:
        SettingsError: The server cannot listen on the address.
        HubbubError: A worker could not start, or failed. It has printed the reason.
    """
    with reserve_port(settings.host, settings.port) as port:  # kept while workers come and go
        _Workers(replace(cast(Any, settings), port=port.getsockname()[1]), work, store).run()


class _Workers:
    def __init__(self, settings: Any, work: Work[Any], store: PrivateStore | None) -> None:
        self._settings = settings
        self._work = work
        self._store = store
        self._context = multiprocessing.get_context("spawn")
        self._running: list[SpawnProcess] = []
        self._due: list[float] = []  # when to start replacements that have failed, by `time.monotonic`
        self._stopping = False

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        assert self._settings.workers != "auto"
        for n in range(self._settings.workers):
            self._start(announces=n == 0)
        failed = False
        while self._running or self._due:
            self._wait()
            for worker in [worker for worker in self._running if worker.exitcode is not None]:
                self._running.remove(worker)
                assert worker.exitcode is not None
                if self._stopping:
                    continue
                if worker.exitcode < 0:
                    self._start(announces=False, name=REPLACEMENT)
                elif worker.name == REPLACEMENT:  # perhaps the store is away; the other workers go on
                    self._due.append(time.monotonic() + RETRY)
                else:
                    failed = True
                    self._stop(signal.SIGTERM)
        if failed:
            raise HubbubError("a worker has failed; its last lines above say why")

    def _wait(self) -> None:
        """Wait until a worker has ended. Meanwhile start workers that are due, and a private store that has ended."""
        sentinels, pauses = (
            [worker.sentinel for worker in self._running],
            [each - time.monotonic() for each in self._due],
        )
        if self._store is not None and not self._stopping:
            sentinels += self._store.sentinels()
            pauses += self._store.pauses()
        wait(sentinels, timeout=max(0.0, min(pauses)) if pauses else None)
        if self._stopping:
            self._due.clear()
        elif self._store is not None:
            self._store.supervise()
        for due in [due for due in self._due if due <= time.monotonic()]:
            self._due.remove(due)
            self._start(announces=False, name=REPLACEMENT)

    def _start(self, *, announces: bool, name: str | None = None) -> None:
        worker = self._context.Process(target=_run_worker, args=(self._work, self._settings, announces), name=name)
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
