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
        members: Returns the groups, with or without members.
        absences: Who is expected back.
    """

    pause = 0.05

    def __init__(
        self,
        log: FeedLog,
        users: Callable[[], list[str]],
        members: Callable[[], list[tuple[str, Roster]]],
        absences: Absences,
    ) -> None:
        self._log = log
        self._users = users
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
        expected: dict[str, list[str]] = {}
        for group, user_id in self._absences.users():
            expected.setdefault(group, []).append(user_id)
        for user_id in dict.fromkeys(self._users() + expected.pop(ONLINE, [])):
            yield [FeedEvent("user_online", user_id=user_id, snapshot=True)]
        for group, roster in self._members():
            yield _members_of(group, roster, expected.pop(group, []))
        for group, user_ids in expected.items():
            yield _members_of(group, Roster(), user_ids)


def _members_of(group: str, roster: Roster, expected: list[str]) -> list[FeedEvent]:
    """Return the events for a group in which `expected` are expected back."""
    users, there = roster.number_of_users, dict.fromkeys([row.user_id for row in roster.rows] + expected)
    if not there:
        return []
    return [
        FeedEvent("group_opened", group, number_of_users=users, snapshot=True),
        *(FeedEvent("member_joined", group, each, number_of_users=users, snapshot=True) for each in there),
    ]
