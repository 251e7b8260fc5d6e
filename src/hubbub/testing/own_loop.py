"""An event loop for tests without one: it runs only while a call of the test does, so time stands still otherwise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from hubbub.errors import HubError

T = TypeVar("T")


class _OfThread(threading.local):
    runner: asyncio.Runner | None = None
    users = 0


_of_thread = _OfThread()


def acquire_runner() -> asyncio.Runner:
    """Return the runner of this thread, which several hubs of a test share: so they have the same clock.

    Raises:
        HubError: This thread runs an event loop, which would be blocked.
    """
    require_no_loop()
    if _of_thread.runner is None:
        _of_thread.runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
    _of_thread.users += 1
    return _of_thread.runner


def release_runner() -> None:
    """Close the runner when the last one that has acquired it releases it."""
    _of_thread.users -= 1
    if not _of_thread.users and _of_thread.runner is not None:
        runner, _of_thread.runner = _of_thread.runner, None
        runner.close()


def run_blocking(work: Coroutine[Any, Any, T], runner: asyncio.Runner, loop: asyncio.AbstractEventLoop | None) -> T:
    """Run a coroutine and return its result.

    Args:
        work: The coroutine.
        runner: Runs it, unless `loop` is another loop than its own.
        loop: The loop that the coroutine needs, perhaps in another thread; None for that of `runner`.

    Raises:
        HubError: This thread runs an event loop, which would be blocked.
    """
    try:
        require_no_loop()
    except HubError:
        work.close()
        raise
    if loop is None or loop is runner.get_loop():
        return runner.run(work)
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def require_no_loop() -> None:
    """Raise `HubError` if this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise HubError("SyncTestHub blocks, and this code runs in an event loop: use TestHub, and await its calls.")
