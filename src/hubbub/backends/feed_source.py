"""The feed of a backend, as its readers see it: what was written, and snapshots of what is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from hubbub.groups.feed import FeedEvent, FeedRead, Positions


class FeedSource(Protocol):
    """The events of all groups and users, on all nodes.

    The step that changes the membership writes them, with it. They are written while somebody has read within the
    window, and kept within it. All methods may raise `CommandError` ``UNAVAILABLE``: the store does not answer, or a
    node that writes no events shares it.
    """

    pause: float
    """Seconds that a reader waits before it asks again, when there was nothing to read."""

    async def read(self, since: Positions | None, most: int) -> FeedRead:
        """Return events after `since`, at most `most` changes of each shard; without it, none, and the position of now.

        The first reading begins the feed. There is a gap if events after `since` are not kept any more, or are of
        another epoch: after a restart of the server or its store, or when nobody has read for longer than the window.
        """
        ...

    def snapshot(self) -> AsyncIterator[list[FeedEvent]]:
        """Yield what is there: ``user_online``, ``group_opened``, ``member_joined``, in pieces; some may come twice.

        It takes some time, while the membership changes. A reader that has read a position before it, and afterwards
        all events since, knows what is there: the last event about a user, a member or a group is the true one. Events
        that `read` returns with ``snapshot`` are for this only.
        """
        ...
