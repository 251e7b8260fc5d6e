"""How connections come to a hub: which of the three ways to run it is in use, in the log and in the metrics."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys

from hubbub.errors import SettingsError
from hubbub.node import Node

log = logging.getLogger("hubbub.hub")

_NAMES = {
    1: "tier 1: hubbub serve runs the app, and the hub has the sockets",
    2: "tier 2: uvicorn runs the app, and the hub takes the sockets over",
    3: "tier 3: every message passes through ASGI; for about ten times as many messages a second, run the app with "
    '"hubbub serve --app main:app" or "uvicorn main:app --ws hubbub.contrib.uvicorn:WebSockets"',
}


_LOGS = ("hubbub.hub", "uvicorn.error", "gunicorn.error", "hypercorn.error", "_granian", "daphne")
"""Our logger, and those of servers, which show lines that ours would not show unless the app sets up its log."""


_FORKING = {"gunicorn", "hypercorn", "granian"}
"""Programs that start workers in another way than multiprocessing does."""


class _Process:
    """What the server of this process has told about itself, before any connection came."""

    tier = 3
    workers = 1


def announce_server(tier: int, workers: int = 1) -> None:
    """Note what runs in this process: called by our server, and by our classes for uvicorn and gunicorn.

    Args:
        tier: The tier that connections will have.
        workers: How many processes serve the same app.
    """
    _Process.tier, _Process.workers = min(tier, _Process.tier), max(workers, _Process.workers)


class Tier:
    """The tier of one running hub: what the server has announced, until the first connection shows it.

    Args:
        node: Its attribute ``tier`` is kept, for the metrics.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._shown = False
        node.tier = _Process.tier

    def seen(self, tier: int) -> None:
        """Note how a connection has come; the first one is logged."""
        if not self._shown:
            self._shown = True
            self._node.tier = tier
            _visible_log().info("Hubbub runs in %s", _NAMES[tier])


def check_workers(backend: str) -> None:
    """Refuse several processes that each would have groups of its own, or warn where they can only be supposed.

    Args:
        backend: The setting.

    Raises:
        SettingsError: There are several processes, and the backend is not shared.
    """
    if backend != "memory":
        return
    if _Process.workers > 1:
        raise SettingsError(
            f'{_Process.workers} worker processes cannot share the backend "memory", so each would have groups of its '
            'own: write Hub(backend="valkey://…"), or run one worker'
        )
    if _supposed_workers(sys.argv, os.environ.get("WEB_CONCURRENCY", "")) > 1:
        log.warning(
            'the app seems to run in several worker processes, and the backend "memory" is not shared, so each has '
            'groups of its own: write Hub(backend="valkey://…"), or run one worker'
        )


def _supposed_workers(arguments: list[str], concurrency: str) -> int:
    """Return how many processes a command line asks for: uvicorn, hypercorn, granian and others have such flags.

    Args:
        arguments: The command line. A process that multiprocessing has started has that of its parent.
        concurrency: The value of ``WEB_CONCURRENCY``, which uvicorn and gunicorn read.
    """
    found = int(concurrency) if concurrency.isdecimal() else 1
    for position, argument in enumerate(arguments[1:], 1):
        flag, _, value = argument.partition("=")
        if flag in {"--workers", "-w"}:
            value = value or (arguments[position + 1] if position + 1 < len(arguments) else "")
            found = int(value) if value.isdecimal() else found
    forks = os.path.basename(arguments[0]) in _FORKING
    return found if forks or multiprocessing.parent_process() is not None else 1


def _visible_log() -> logging.Logger:
    """Return the first logger that shows such a line; ours if none does."""
    loggers = [logging.getLogger(name) for name in _LOGS]
    return next((each for each in loggers if each.isEnabledFor(logging.INFO) and each.hasHandlers()), log)
