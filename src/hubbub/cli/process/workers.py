"""``hubbub serve --workers N``: several nodes on one port, each a process; the system spreads connections over them."""

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

from hubbub.errors import HubbubError, SettingsError
from hubbub.server import reserve_port
from hubbub.settings import Settings

Work = Callable[[Settings, bool], None]
"""What a worker runs, a function of a module: serves with the settings; says where, if the other argument is true."""


def run_workers(settings: Settings, work: Work) -> None:
    """Run ``settings.workers`` processes until SIGTERM or SIGINT ends them; one that is killed is replaced.

    Raises:
        SettingsError: The address cannot be listened on, or the backend is none that processes can share.
        HubbubError: A worker could not start, or failed; it has said why.
    """
    if settings.backend == "memory":
        raise SettingsError('workers share nothing with the backend "memory": set --backend (HUBBUB_BACKEND)')
    port = reserve_port(settings)  # kept while workers come and go
    _Workers(replace(settings, port=port.getsockname()[1]), work).run()
    port.close()


class _Workers:
    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings = settings
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._running: list[SpawnProcess] = []
        self._stopping = False

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        for n in range(self._settings.workers):
            self._start(says_where=n == 0)
        failed = False
        while self._running:
            wait([worker.sentinel for worker in self._running])
            for worker in [worker for worker in self._running if worker.exitcode is not None]:
                self._running.remove(worker)
                assert worker.exitcode is not None
                if self._stopping:
                    continue
                if worker.exitcode < 0:
                    self._start(says_where=False)
                else:
                    failed = True
                    self._stop(signal.SIGTERM)
        if failed:
            raise HubbubError("a worker has failed")

    def _start(self, *, says_where: bool) -> None:
        worker = self._context.Process(target=_run_worker, args=(self._work, self._settings, says_where))
        worker.start()
        self._running.append(worker)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop(number)

    def _stop(self, number: int) -> None:
        self._stopping = True
        for worker in self._running:
            if worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, number)


def _run_worker(work: Work, settings: Settings, says_where: bool) -> None:
    """Be a worker, in a session of its own: what a terminal sends to all processes reaches the parent alone."""
    os.setsid()
    try:
        work(settings, says_where)
    except HubbubError as error:
        print(f"hubbub: {error}", file=sys.stderr)
        sys.exit(1)
