"""Run an app with a hub under gunicorn: ``gunicorn main:app -k hubbub.contrib.gunicorn.Worker``.

gunicorn starts and watches the processes, uvicorn serves the app in each, and the hub takes its WebSockets over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from typing import Any

import uvicorn
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker as GunicornWorker
from uvicorn._compat import asyncio_run

from hubbub.contrib.uvicorn import WebSockets
from hubbub.hub.tiers import announce_server


class Worker(GunicornWorker):  # type: ignore[misc]  # gunicorn has no types
    """One worker process. Several need a hub with a backend that they share; otherwise it does not start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, source in (("uvicorn.error", self.log.error_log), ("uvicorn.access", self.log.access_log)):
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = source.handlers, False
            logger.setLevel(source.level)
        announce_server(2, self.cfg.workers)
        self._config = uvicorn.Config(
            app=None,  # type: ignore[arg-type]  # gunicorn loads it later, in `run`
            ws=WebSockets,
            log_config=None,
            timeout_keep_alive=self.cfg.keepalive,
            timeout_graceful_shutdown=self.cfg.graceful_timeout,
            timeout_notify=self.timeout,
            callback_notify=self._notify_arbiter,
            limit_max_requests=self.max_requests if self.cfg.max_requests else None,
            forwarded_allow_ips=self.cfg.forwarded_allow_ips,
            backlog=self.cfg.backlog,
            **self._tls(),
        )

    def init_signals(self) -> None:
        """Leave the signals to uvicorn, but for the one that reopens log files."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        signal.siginterrupt(signal.SIGUSR1, False)

    def run(self) -> None:
        """Serve until gunicorn stops this process."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio_run(self._serve(), loop_factory=self._config.get_loop_factory())

    async def _serve(self) -> None:
        self._config.app = self.wsgi
        server = uvicorn.Server(self._config)
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        try:
            await server.serve(sockets=self.sockets)
        finally:
            if not server.started:  # the app has failed: gunicorn must not start it again and again
                sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def _notify_arbiter(self) -> None:
        self.notify()

    def _tls(self) -> dict[str, Any]:
        if not self.cfg.is_ssl:
            return {}
        names = {
            "ssl_keyfile": "keyfile",
            "ssl_certfile": "certfile",
            "ssl_keyfile_password": "password",
            "ssl_version": "ssl_version",
            "ssl_cert_reqs": "cert_reqs",
            "ssl_ca_certs": "ca_certs",
            "ssl_ciphers": "ciphers",
        }
        return {
            ours: value for ours, theirs in names.items() if (value := self.cfg.ssl_options.get(theirs)) is not None
        }
