"""The views of a node: evaluated after a change, no more often than each says, within a share of the CPU time.

Every `STEP` seconds the node looks for views that may have changed and are due, and queues them, those that have waited
longest first. Evaluating takes from a budget that refills as time passes. While it is used up, views wait, so the time
between their events becomes longer, for all of them alike.

What a view shows next is sent to its watchers over several ticks of the loop. Until the last one has it, the view is
not evaluated again. A reader that has not read everything is left out, and later gets the whole page as it is then, so
nothing queues for it. The same holds if changes may have been missed, because the store was away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from hubbub.backends.base import Backend
from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups.view_query import ListedGroups, NamedGroups, ViewPage
from hubbub.session import run_now
from hubbub.settings import Settings
from hubbub.watching.difference import difference
from hubbub.watching.view import NEVER_SEEN, NOT_STARTED, View, ViewKey, Watcher

STEP = 0.025
"""Seconds between two looks for views that have changed."""

TURN = 0.004
"""Seconds for which views are evaluated in one turn of the loop."""

BURST = 0.05
"""Most seconds of evaluation that the budget holds."""

CHUNK = 500
"""Watchers that are sent something in one turn of the loop: 7 µs each for the write."""

IN_FLIGHT = 32
"""Views that are asked for at a time, where a backend has to wait."""

VIEW_COST, ROW_COST = 0.000_1, 0.000_002
"""Seconds that a view, and each row of it, is charged where they cannot be measured, because the backend waits."""

RETRY = 0.5
"""Least seconds until a view is evaluated again after that has failed."""

ROW = 300
"""Bytes that a row takes besides its names."""

CHARACTER = 4
"""Most bytes that a character takes."""


class Host(Protocol):
    """What the views need of their node."""

    settings: Settings
    backend: Backend
    counters: Counters

    def now(self) -> float:
        """Return seconds on the clock of the event loop."""
        ...

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` after so many seconds, 0 for the next turn of the loop."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Run `work` in a task that is kept until it ends."""
        ...


class Views:
    """All views of a node.

    Args:
        host: The node.
        clock: Seconds, precise enough to measure an evaluation.

    Attributes:
        bytes: Bytes that are reserved for the pages of the views.
        watches: How many watches there are.
    """

    def __init__(self, host: Host, clock: Callable[[], float]) -> None:
        self._host = host
        self._backend = host.backend
        self._settings = host.settings
        self._counters = host.counters
        self._clock = clock
        self.bytes = 0
        self.watches = 0
        self._views: dict[ViewKey, View] = {}
        self._opening: dict[View, asyncio.Lock] = {}
        self._ready: deque[View] = deque()
        self._deliveries: deque[View] = deque()
        self._behind: deque[Watcher] = deque()
        self._in_flight = 0
        self._left = BURST
        self._filled = host.now()
        self._looked_at = (-1, -1)
        self._again = True
        self._stepping = False
        self._closed = False

    def __len__(self) -> int:
        """Return how many views there are."""
        return len(self._views)

    def close(self) -> None:
        """Evaluate nothing any more."""
        self._closed = True

    # --- watchers come and go ---

    async def open(self, key: ViewKey, watcher: Watcher) -> ViewPage:
        """Let `watcher` watch a view, and return its page. What changes from then on is sent to the watcher.

        The caller must write the page to the reader before it waits for anything.

        Raises:
            CommandError: ``UNAVAILABLE``: the node has too many views, or the store does not answer.
        """
        view = self._attach(key, watcher)
        watcher.seen = NOT_STARTED
        try:
            if view.page is None:
                await self._evaluate_first(view)
        except BaseException:
            self.leave(watcher)
            raise
        assert view.page is not None
        watcher.seen = view.version
        return view.page

    def move(self, watcher: Watcher, key: ViewKey) -> None:
        """Let a watcher watch another view instead: it will be sent the whole page. Raises what `open` does."""
        self.leave(watcher)
        self._attach(key, watcher)
        watcher.seen = NEVER_SEEN
        self._fall_behind(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Let a watcher watch nothing. A view without watchers ends."""
        view = watcher.view
        if view is None:
            return
        watcher.view = None
        del view.watchers[watcher]
        self.watches -= 1
        if not view.watchers:
            del self._views[view.key]
            self._opening.pop(view, None)
            self.bytes -= view.size

    def _attach(self, key: ViewKey, watcher: Watcher) -> View:
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = self._new_view(key)
            self.bytes += view.size
            self._again = True
        view.watchers[watcher] = None
        watcher.view = view
        self.watches += 1
        if not self._stepping:
            self._stepping = True
            self._host.later(STEP, self._step)
        return view

    def _new_view(self, key: ViewKey) -> View:
        settings = self._settings
        if len(self._views) >= settings.max_views:
            text = f"This server has {len(self._views)} different views; at most {settings.max_views} are allowed "
            raise CommandError(ErrorCode.UNAVAILABLE, text + '("max_views"): try again later.')
        size = self._size(key)
        if self.bytes + size > settings.max_view_bytes:
            text = f"The views of this server may take {settings.max_view_bytes} bytes, and this one would exceed that "
            raise CommandError(ErrorCode.UNAVAILABLE, text + '("max_view_bytes"): set a smaller "limit".')
        return View(key, size, self._host.now())

    def _size(self, key: ViewKey) -> int:
        """Return the most bytes that a view can take, so that it can grow to its limit."""
        query, settings = key.query, self._settings
        own = CHARACTER * (len(msgspec.json.encode(query)) + sum(map(len, key.rights or ())))
        if isinstance(query, NamedGroups):
            return own + ROW * len(query.names)
        longest = settings.max_group_name if isinstance(query, ListedGroups) else settings.max_user_id
        return own + query.query.limit * (ROW + CHARACTER * longest)

    # --- evaluation ---

    def _step(self) -> None:
        """Queue the views that may have changed and are due, and evaluate as many as the budget allows."""
        if self._closed or not self._views:
            self._stepping = False
            return
        now = self._host.now()
        self._left = min(BURST, self._left + self._settings.view_cpu * (now - self._filled))
        self._filled = now
        self._catch_up()
        state = self._backend.revision, self._backend.restarts
        if self._again or state != self._looked_at:
            self._looked_at, self._again = state, False
            self._look(now)
        self._work()
        self._host.later(STEP, self._step)

    def _look(self, now: float) -> None:
        revision_of, restarts = self._backend.revision_of, self._backend.restarts
        ready = []
        for view in self._views.values():
            if view.busy or view.pending or view.due > now:
                self._again = True
            elif view.failed or view.restarts != restarts or view.revision != revision_of(view.key.query):
                view.busy = True
                ready.append(view)
        ready.sort(key=attrgetter("due"))
        self._ready.extend(ready)

    def _work(self) -> None:
        """Evaluate views that are queued, for one turn of the loop at most."""
        ends, ready = self._clock() + TURN, self._ready
        while ready and not self._closed:
            if self._left <= 0:
                self._counters.views_put_off += 1
                return
            if self._backend.immediate:
                if self._clock() >= ends:
                    self._host.later(0, self._work)
                    return
                run_now(self._evaluate_again(ready.popleft()))
            else:
                if self._in_flight >= IN_FLIGHT:
                    return
                self._in_flight += 1
                self._host.spawn(self._evaluate_apart(ready.popleft()))

    async def _evaluate_apart(self, view: View) -> None:
        try:
            await self._evaluate_again(view)
        finally:
            self._in_flight -= 1
            if self._ready:
                self._host.later(0, self._work)

    async def _evaluate_again(self, view: View) -> None:
        """Evaluate a view that was queued, and see to its watchers. Never raises: a view that fails is tried again."""
        try:
            if view.watchers:
                await (self._evaluate_first(view) if view.page is None else self._evaluate(view))
        except CommandError:
            view.failed, view.due = True, self._host.now() + max(RETRY, view.key.every)
            self._again = True
        finally:
            view.busy = False

    async def _evaluate_first(self, view: View) -> None:
        """Evaluate a new view, unless that is being done already; without a backend that waits, nobody waits here."""
        async with self._opening.setdefault(view, asyncio.Lock()):
            if view.page is None:
                await self._evaluate(view)
        self._opening.pop(view, None)

    async def _evaluate(self, view: View) -> None:
        backend, began = self._backend, self._clock()
        revision, restarts = backend.revision_of(view.key.query), backend.restarts
        page = await backend.view(view.key.query, view.visible)
        before, whole = view.page, view.failed or restarts != view.restarts
        view.revision, view.restarts, view.failed = revision, restarts, False
        if before is None:
            view.show(page, None)
        else:
            changed = None if whole else difference(before.rows, page.rows)
            if changed is None or changed.set or changed.gone or page.count != before.count:
                view.show(page, changed)
                view.pending = list(view.watchers)
                self._deliver_soon(view)
        view.due = max(view.due, self._host.now() - STEP) + view.key.every  # the step is not added each time
        spent = self._clock() - began if backend.immediate else VIEW_COST + ROW_COST * len(page.rows)
        self._left -= spent
        self._counters.view_evaluations += 1
        self._counters.view_seconds += spent

    # --- delivery ---

    def _deliver_soon(self, view: View) -> None:
        self._deliveries.append(view)
        if len(self._deliveries) == 1:
            self._host.later(0, self._deliver)

    def _deliver(self) -> None:
        """Send what has changed to some watchers; the next turn of the loop continues."""
        room = CHUNK
        while self._deliveries and room:
            view = self._deliveries[0]
            pending = view.pending
            if not pending:
                self._deliveries.popleft()
                continue
            turn, view.pending = pending[:room], pending[room:]
            room -= len(turn)
            self._send_change(view, turn)
        if self._deliveries:
            self._host.later(0, self._deliver)

    def _send_change(self, view: View, watchers: list[Watcher]) -> None:
        change, version, sent = view.change, view.version, 0
        for watcher in watchers:
            seen = watcher.seen
            if watcher.view is not view or seen in (version, NOT_STARTED):
                continue
            if change is not None and seen == version - 1 and watcher.send(change):
                watcher.seen = version
                sent += 1
            else:
                self._fall_behind(watcher)
        self._counters.view_events += sent

    def _fall_behind(self, watcher: Watcher) -> None:
        if not watcher.behind:
            watcher.behind = True
            self._behind.append(watcher)

    def _catch_up(self) -> None:
        """Send the whole page to watchers that have fallen behind and have read everything."""
        for _ in range(min(CHUNK, len(self._behind))):
            watcher = self._behind.popleft()
            view = watcher.view
            if view is not None and (view.page is None or watcher.slow):
                self._behind.append(watcher)
                continue
            watcher.behind = False
            if view is not None and watcher.seen != view.version:
                watcher.seen = view.version
                watcher.send(view.whole())
                self._counters.view_events += 1
                self._counters.views_skipped += 1
