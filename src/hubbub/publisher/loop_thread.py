"""An event loop in a thread of its own, for programs that have none; started when it is needed, once per process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from hubbub.errors import CommandError, ErrorCode

T = TypeVar("T")

CLOSED = "This publisher is closed. Make a new one."


class _Running:
    """A thread with its loop, in the process where it was started: a thread does not survive a fork."""

    def __init__(self, name: str) -> None:
        self.process = os.getpid()
        self._loop = asyncio.SelectorEventLoop()
        self._ending = threading.Lock()  # held while something is given to the loop, and when that becomes impossible
        self._ended = False
        self._last: Callable[[], Coroutine[Any, Any, object]] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        with self._ending:
            if self._ended:
                raise CancelledError
            return asyncio.run_coroutine_threadsafe(make(), self._loop)

    def end(self, last: Callable[[], Coroutine[Any, Any, object]]) -> None:
        with self._ending:
            if not self._ended:
                self._last, self._ended = last, True
                self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:  # it is, if the garbage collector ran there
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._finish())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _finish(self) -> None:
        await asyncio.sleep(0)  # calls that were submitted last become tasks
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._last is not None:
            await self._last()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


_inherited: list[_Running] = []
"""Loops of the parent process. Kept: closing one would take sockets out of a selector that the parent still uses."""


class _Lock:
    """A lock that a forked process gets new, because a thread of the parent may have held it."""

    def __init__(self) -> None:
        self.now = threading.Lock()

    def renew(self) -> None:
        self.now = threading.Lock()


_lock = _Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lock.renew)


class LoopThread:
    """Runs coroutines in a thread, for any number of calling threads.

    Args:
        name: The name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: _Running | None = None
        self._stopped = False

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the coroutine that `make` returns in the loop, wait for it, and return its result or raise its error.

        Raises:
            CommandError: ``UNAVAILABLE``: `stop` was called meanwhile. ``INVALID_REQUEST``: it was called before.
        """
        future: Future[T] | None = None
        try:
            future = self._started().submit(make)
            return future.result()
        except CancelledError:
            text = "The publisher was closed during this call; a post may or may not have been done."
            raise CommandError(ErrorCode.UNAVAILABLE, text) from None
        except BaseException:  # KeyboardInterrupt: nothing goes on unseen
            if future is not None:
                future.cancel()
            raise

    def stop(self, last: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Cancel what runs, run a last coroutine and end the thread, if it runs in this process. None starts again."""
        with _lock.now:
            self._stopped = True
            running, self._running = self._running, None
        if running is not None and running.process == os.getpid():
            running.end(last)

    def _started(self) -> _Running:
        with _lock.now:
            if self._stopped:
                raise CommandError(ErrorCode.INVALID_REQUEST, CLOSED)
            running = self._running
            if running is not None and running.process != os.getpid():
                _inherited.append(running)
                running = None
            if running is None:
                running = self._running = _Running(self._name)
            return running
