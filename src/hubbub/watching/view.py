"""One view: a query with its present page, and who watches it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from hubbub.auth.patterns import compile_patterns
from hubbub.errors import CommandError
from hubbub.groups.view_query import GroupUsers, ViewPage, ViewQuery
from hubbub.lanes import EventEncoder
from hubbub.messages import GroupsChanged, UsersChanged
from hubbub.watching.difference import Difference

NEVER_SEEN = -1
"""What a watcher has seen that needs the whole page."""

NOT_STARTED = -2
"""The same of one whose command has not been answered yet: it is sent nothing."""


class ViewKey(NamedTuple):
    """What makes two views the same: the query, the seconds between two events, and the patterns that filter it."""

    query: ViewQuery
    every: float
    rights: tuple[str, ...] | None


class Frames:
    """An event, encoded once for all watchers that share a wire and a number."""

    def __init__(self, event: GroupsChanged | UsersChanged) -> None:
        self.event = event
        self._encoded: dict[tuple[EventEncoder, int], bytes] = {}
        self._wire: EventEncoder | None = None  # of the last call: nearly all have the same
        self._number = 0
        self._data = b""

    def encode(self, wire: EventEncoder, number: int) -> bytes:
        """Return the frame for the watch with this number."""
        if wire is self._wire and number == self._number:
            return self._data
        data = self._encoded.get((wire, number))
        if data is None:
            self.event.watch = number
            data = self._encoded[wire, number] = wire.event(self.event)
        self._wire, self._number, self._data = wire, number, data
        return data


class Watcher(Protocol):
    """One watch of one reader.

    Attributes:
        number: What the reader calls it.
        view: What it watches; None when it has ended.
        seen: The version of the view that the reader has, or `NEVER_SEEN`, or `NOT_STARTED`.
        behind: Whether it waits for the whole page.
    """

    number: int
    view: View | None
    seen: int
    behind: bool

    @property
    def slow(self) -> bool:
        """Whether the reader has not read everything yet, so that nothing may be sent to it now."""
        ...

    def send(self, frames: Frames) -> bool:
        """Send an event, unless `slow`; return whether it was sent."""
        ...

    def end(self, error: CommandError) -> None:
        """Tell the reader that the watch has ended, and why. It watches nothing any more."""
        ...


class View:
    """A query, and what it shows.

    Attributes:
        key: What it is.
        visible: Returns whether a group of this name may be shown; None if all may.
        size: Bytes that were reserved for it.
        watchers: Who watches it.
        page: What it shows; None before the first evaluation.
        version: How often it has changed.
        revision: The revision of the backend that `page` shows at least.
        restarts: The restarts of the backend then.
        failed: Whether the last evaluation has failed.
        due: When it may be evaluated again.
        busy: Whether it is queued, or being evaluated.
        pending: Watchers that have still to be sent `change`.
        change: What led to the present version.
    """

    # fmt: off
    __slots__ = (
        "_whole", "busy", "change", "due", "failed", "key", "page", "pending", "restarts", "revision", "size",
        "version", "visible", "watchers",
    )
    # fmt: on

    def __init__(self, key: ViewKey, size: int, now: float) -> None:
        self.key = key
        self.visible: Callable[[str], bool] | None = None if key.rights is None else compile_patterns(key.rights).match
        self.size = size
        self.watchers: dict[Watcher, None] = {}
        self.page: ViewPage | None = None
        self.version = 0
        self.revision: int | None = None
        self.restarts = 0
        self.failed = False
        self.due = now
        self.busy = False
        self.pending: list[Watcher] = []
        self.change: Frames | None = None
        self._whole: Frames | None = None

    def show(self, page: ViewPage, changed: Difference | None) -> None:
        """Take over a new page. `changed` is how it differs from the one before; None if all need the whole page."""
        self.page = page
        self.version += 1
        self._whole = self.change = None
        if changed is not None:
            event = self._event()
            event.set, event.gone = changed
            self.change = Frames(event)

    def whole(self) -> Frames:
        """Return the event with the whole page, which must be there."""
        if self._whole is None:
            assert self.page is not None
            event = self._event()
            event.list = self.page.rows
            self._whole = Frames(event)
        return self._whole

    def _event(self) -> GroupsChanged | UsersChanged:
        assert self.page is not None
        kind = UsersChanged if isinstance(self.key.query, GroupUsers) else GroupsChanged
        return kind(0, count=self.page.count)
