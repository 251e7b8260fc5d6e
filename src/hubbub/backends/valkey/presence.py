"""What this node knows to be true of its own connections, and how the store is made to agree with it.

A node is the only one that knows which connections it has, so after each interruption it does not ask the store but
corrects it. What it heard as done is done; what it did not hear of is undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from typing import Any, TypeVar

from hubbub.backends.valkey import keys
from hubbub.backends.valkey.link import Link
from hubbub.backends.valkey.streams import NOWHERE, Since
from hubbub.messages import UserRow

SILENCE = 3.0
"""Seconds without a sign of life after which a node counts as dead."""

CHUNK = 500
"""Connections that are put right, or buried, in one go."""

T = TypeVar("T")


class Place:
    """Where one connection of this node is: in `group`, or in none."""

    __slots__ = ("group", "row", "user")

    def __init__(self, user: UserRow) -> None:
        self.user = user
        self.row = keys.row(user)
        self.group: str | None = None


class Presence:
    """The connections of this node and the channels of their groups.

    Args:
        node: The id of this node.
        bucket: The prefix of all keys and channels.
        link: The way to the store.
        epoch: Makes an epoch that was never used.

    Attributes:
        places: The connections, by connection id.
        life: The id under which the store knows this node now.
        notices: How many notices were made from here.
    """

    def __init__(self, node: str, bucket: str, link: Link, epoch: Callable[[], str]) -> None:
        self.places: dict[str, Place] = {}
        self.life = ""
        self.notices = 0
        self._node = node
        self._bucket = bucket
        self._link = link
        self._epoch = epoch
        self._lives = count(1)
        self._members: dict[str, int] = {}  # group -> members here, those on their way in among them
        self._changed = False

    # --- channels ---

    def expect(self, group: str) -> None:
        """Hear `group`, because a connection is about to enter it. Has its counterpart in `release`."""
        here = self._members.get(group, 0)
        self._members[group] = here + 1
        if not here:
            self._link.subscribe(keys.group_channel(self._bucket, group))

    def release(self, group: str | None) -> None:
        """A connection has left `group`; the last one ends the subscription."""
        if group is None:
            return
        here = self._members[group] - 1
        if here:
            self._members[group] = here
        else:
            del self._members[group]
            self._link.unsubscribe(keys.group_channel(self._bucket, group))

    # --- connections ---

    def forget(self, connection_id: str) -> Place | None:
        """Take out a connection that is gone, and return where it was; None if it is unknown."""
        place = self.places.pop(connection_id, None)
        if place is not None:
            self._changed = True
            self.release(place.group)
        return place

    async def enter(self, place: Place, most: int, since: Since = NOWHERE) -> Any:
        """Run the script that counts a connection; return its reply. See ``enter.lua``."""
        user = place.user
        return await self._link.run(
            "enter", self.life, place.row, keys.encode(user.user_id), user.connection_id, self._node, most,
            self._epoch(), keys.encode(since.epoch), since.seq,
        )  # fmt: skip

    async def move(self, place: Place, group: str | None, since: Since = NOWHERE, number: int = 0) -> Any:
        """Run the script that moves a connection; return what it has replayed. See ``move.lua``."""
        return await self._move(place.row, place.group or "", group or "", b"L", b"J", since, number)

    async def exit(self, row: bytes, group: str | bytes) -> None:
        """Run the script that takes a connection out of everything."""
        self.notices += await self._link.run("exit", self.life, row, group)

    # --- life and death ---

    async def revive(self) -> None:
        """Begin a new life on a new connection, and make the store agree with `places`."""
        before, self.life = self.life, f"{self._node}.{next(self._lives)}"
        self._link.subscribe(keys.node_channel(self._node))
        for group in self._members:
            self._link.subscribe(keys.group_channel(self._bucket, group))
        self._changed = True
        while self._changed:
            self._changed = False
            dead, *found = await self._link.run("revive", self._node, self.life, before, self._epoch())
            if dead:
                await self._bury(before, 0)
            await self._correct(dict(zip(found[::2], found[1::2], strict=True)), announced_gone=bool(dead))

    async def beat(self) -> None:
        """Give a sign of life, and bury the dead."""
        for life in await self._link.run("beat", self.life, int(SILENCE * 1000), 500):
            await self._bury(life.decode(), int(SILENCE * 1000))

    async def resign(self) -> None:
        """Say that this node ends."""
        await self._bury(self.life, 0)

    async def _bury(self, life: str, silence: int) -> None:
        left = 1
        while left:
            left, notices = await self._link.run("bury", life, silence, CHUNK)
            self.notices += notices

    async def _correct(self, found: dict[bytes, bytes], *, announced_gone: bool) -> None:
        """Put right what the store has of this node; `found` are the entries of its hash ``n:``, see `keys`."""
        known = {place.row: place for place in self.places.values()}
        gone = [field[1:] for field in found if field[:1] == b"u" and field[1:] not in known]
        await in_chunks(self.exit(row, found.get(b"m" + row, b"")) for row in gone)
        await in_chunks(
            self._restore(place, found, announced_gone=announced_gone) for place in list(self.places.values())
        )

    async def _restore(self, place: Place, found: dict[bytes, bytes], *, announced_gone: bool) -> None:
        row = place.row
        known = b"u" + row in found
        if not known:
            await self.enter(place, 0)
        there = keys.decode(found.get(b"m" + row, b""))
        if there != (place.group or ""):
            # Nobody has heard that it was gone if the store has merely forgotten it: then it comes back in silence.
            code = b"J" if known or announced_gone else b""
            await self._move(row, there, place.group or "", b"L", code)

    async def _move(
        self, row: bytes, old: str, new: str, code: bytes, code_new: bytes, since: Since = NOWHERE, number: int = 0
    ) -> Any:
        notices, *replayed = await self._link.run(
            "move", self.life, row, keys.encode(old), keys.encode(new), self._epoch(), code, code_new,
            keys.encode(since.epoch), since.seq, number,
        )  # fmt: skip
        self.notices += notices
        return replayed[0] if replayed else None


async def in_chunks(work: Iterator[Coroutine[Any, Any, T]]) -> None:
    """Run all of `work`, some at the same time, so that they share round trips."""
    while chunk := [each for each, _ in zip(work, range(CHUNK), strict=False)]:
        await asyncio.gather(*chunk)
