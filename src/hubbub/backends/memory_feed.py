"""The feed of a single process: its log, and snapshots that do not stop the event loop for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from hubbub.groups.absences import ONLINE, Absences
from hubbub.groups.feed import FeedEvent, FeedRead, Positions
from hubbub.groups.feed_log import FeedLog
from hubbub.groups.roster import Roster

PIECE = 500
"""About as many events of a snapshot are made without a turn of the loop."""


class MemoryFeed:
    """See `hubbub.backends.feed_source.FeedSource` for what each method promises.

    Args:
        log: The events.
        users: Returns the users that are connected.
        groups: Returns the names of all groups.
        members: Returns the members of a group.
        absences: Who is expected back.
    """

    pause = 0.05

    def __init__(
        self,
        log: FeedLog,
        users: Callable[[], list[str]],
        groups: Callable[[], list[str]],
        members: Callable[[str], Roster],
        absences: Absences,
    ) -> None:
        self._log = log
        self._users = users
        self._groups = groups
        self._members = members
        self._absences = absences

    async def read(self, since: Positions | None, most: int) -> FeedRead:
        """Read the log."""
        return self._log.read(since, most)

    async def snapshot(self) -> AsyncIterator[list[FeedEvent]]:
        """Copy the names of users and groups, then look at a piece of them at a time."""
        piece: list[FeedEvent] = []
        for events in self._all():
            piece += events
            if len(piece) >= PIECE:
                yield piece
                piece = []
                await asyncio.sleep(0)
        yield piece

    def _all(self) -> Iterator[list[FeedEvent]]:
        absences = list(self._absences.users())
        groups = dict.fromkeys(self._groups() + [group for group, _ in absences if group != ONLINE])
        for user_id in dict.fromkeys(self._users() + [user_id for group, user_id in absences if group == ONLINE]):
            yield [FeedEvent("user_online", user_id=user_id, snapshot=True)]
        for group in groups:
            yield self._members_of(group)

    def _members_of(self, group: str) -> list[FeedEvent]:
        """Return the events for a group as it is at this moment."""
        roster, user_ids = self._members(group), [row.user_id for row in self._members(group).rows]
        if self._absences.expects_anyone(group):
            user_ids += [user_id for other, user_id in self._absences.users() if other == group]
        if not user_ids:
            return []
        users = roster.number_of_users
        return [
            FeedEvent("group_opened", group, number_of_users=users, snapshot=True),
            *(
                FeedEvent("member_joined", group, user_id, number_of_users=users, snapshot=True)
                for user_id in dict.fromkeys(user_ids)
            ),
        ]
