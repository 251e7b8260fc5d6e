"""The virtual clock of an event loop: while a test waits for a hub and nothing else is to do, time jumps.

The loop asks its selector to wait for sockets until the next timer is due. That is the one place where it lets time
pass, and the one place that is replaced: instead of waiting, the clock is set to that moment. While code runs, the
clock stands still, so what a test sees does not depend on the speed of the machine.

Two kinds of waiting are real, and then time passes as it does outside: that of a test for something else than the hub,
and that of the app for a thread or, in a hook, for a socket such as a database's (see `hubbub.testing.real_work`).
"""

from __future__ import annotations

import asyncio
import itertools
import math
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from hubbub.clock import Clock, replace_clock
from hubbub.errors import HubError
from hubbub.testing.real_work import RealWork

GRAIN = 1024
"""Parts of a second in which real time is counted: a power of two, so that sums of seconds are not rounded."""

_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, VirtualTime] = WeakKeyDictionary()


class VirtualTime:
    """The clock of one event loop. It stays for as long as the loop, since timers are set by it.

    Args:
        loop: One of asyncio's own, with a selector.

    Attributes:
        work: What runs in real time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        selector = getattr(loop, "_selector", None)
        if not isinstance(selector, selectors.BaseSelector):
            raise HubError(
                f"hubbub.testing cannot set the clock of {type(loop).__module__}.{type(loop).__qualname__}: run the "
                "tests in asyncio's own event loop."
            )
        # Whole numbers, so that no sum of usual durations is rounded: a token that lasts 60 s is over after 60 s.
        self._now = float(math.ceil(loop.time()))
        self._to_unix = math.ceil(time.time()) - self._now
        self._loop = loop
        self._selector = selector
        self._waits = 0
        self._settling: list[asyncio.Future[None]] = []
        self.work = RealWork(loop, selector)
        loop._selector = _Selector(selector, self._select)  # type: ignore[attr-defined]
        loop.time = self.monotonic  # type: ignore[method-assign]
        replace_clock(loop, Clock(self.monotonic, self.unix_time, itertools.count(0.0).__next__))

    def monotonic(self) -> float:
        """Return the seconds of ``loop.time()``."""
        return self._now

    def unix_time(self) -> float:
        """Return the Unix time."""
        return self._now + self._to_unix

    @contextmanager
    def jumping(self) -> Iterator[None]:
        """Let time jump while the block waits and nothing else is to do."""
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1

    async def settle(self) -> None:
        """Return when nothing more happens without the clock: no callback is due, nothing real is awaited."""
        if asyncio.get_running_loop() is not self._loop:  # that loop has ended
            return
        done: asyncio.Future[None] = self._loop.create_future()
        self._settling.append(done)
        with self.jumping():
            await done

    def _select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Do what the selector's ``select`` does, with jumps instead of waits."""
        events = self._selector.select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._waits and not self.work.pending():
            if self._settling:
                self._end_settling()
                return []
            if timeout is not None:
                self._now += timeout
                return []
        began = time.monotonic()
        events = self._selector.select(timeout)
        self._now += math.ceil((time.monotonic() - began) * GRAIN) / GRAIN
        return events

    def _end_settling(self) -> None:
        settling, self._settling = self._settling, []
        for done in settling:
            if not done.done():
                done.set_result(None)


class _Selector(selectors.BaseSelector):
    """A selector that waits in another way."""

    def __init__(
        self,
        real: selectors.BaseSelector,
        select: Callable[[float | None], list[tuple[selectors.SelectorKey, int]]],
    ) -> None:
        self._real = real
        self._wait = select

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self._wait(timeout)

    def close(self) -> None:
        self._real.close()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


def virtual_time() -> VirtualTime:
    """Return the clock of the running event loop, which gets one if it has none.

    Raises:
        HubError: The loop is not one of asyncio's own, such as uvloop's.
    """
    loop = asyncio.get_running_loop()
    found = _of_loop.get(loop)
    if found is None:
        found = _of_loop[loop] = VirtualTime(loop)
    return found
