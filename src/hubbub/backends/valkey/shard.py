"""How one bucket of the store is made to agree with what this node knows of its own connections.

A node is the only one that knows which connections it has, so after each interruption it does not ask the store but
corrects it. What it heard as done is done; what it did not hear of is undone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from itertools import count, islice
from typing import Any, TypeVar

from hubbub.auth.bans import TicketUse
from hubbub.backends.valkey import schema
from hubbub.backends.valkey.connection import Argument, WrongTypeError
from hubbub.backends.valkey.heartbeat import Lease
from hubbub.backends.valkey.inbound import Inbound
from hubbub.backends.valkey.link import BEAT, Link, Opener
from hubbub.backends.valkey.local_members import Place, Places
from hubbub.backends.valkey.offsets import NOWHERE, Since
from hubbub.backends.valkey.scripts import Script
from hubbub.backends.valkey.wrong_keys import SHARD, WrongKeys
from hubbub.errors import CommandError
from hubbub.groups import kept_bytes as budgets
from hubbub.groups.history import Window

NO_TICKET = TicketUse("", 0.0)

SILENCE = 3.0
"""Seconds without a sign of life after which a node counts as dead."""

CHUNK = 500
"""Connections that are put right, or buried, in one go."""

MOST_LIVES = 50
"""Most earlier lives that are remembered while none comes to an end."""

DEAD = 1
"""What ``revive.lua`` answers if this node was declared dead."""

FORGOTTEN = 0
"""What it answers if the store does not know this node."""

log = logging.getLogger("hubbub.valkey")

T = TypeVar("T")


class Shard:
    """What a node has in one bucket.

    Args:
        node: The id of this node.
        number: The number of the bucket.
        prefix: What all its keys and channels begin with.
        open_connection: Opens a connection to the server that has the bucket.
        places: All connections of this node.
        epoch: Makes an epoch that was never used.
        scripts: What the bucket can run.
        hearing: What its channels bring.
        lease: What the thread with the heartbeats renews.
        window: How much is kept.
        shared: Whether other buckets use the connections as well.

    Attributes:
        link: The way to the bucket.
        hearing: As given.
        prefix: As given.
        life: The id under which the bucket knows this node now.
        notices: How many notices were made from here.
    """

    def __init__(
        self,
        node: str,
        number: int,
        prefix: str,
        open_connection: Opener,
        places: Places,
        epoch: Callable[[], str],
        scripts: dict[str, Script],
        hearing: Inbound,
        lease: Lease,
        window: Window,
        *,
        shared: bool,
    ) -> None:
        self.hearing = hearing
        self.link = Link(open_connection, prefix, scripts, self, shared=shared)
        self.number = number
        self.prefix = prefix
        self.life = ""
        self.notices = 0
        self._lease = lease
        self._window = window
        self._node = node
        self._own_channel = schema.node_channel(prefix, node)
        self._places = places
        self._epoch = epoch
        self._lives = count(1)
        self._resigned = False
        self._earlier: list[str] = []  # lives that may have left something
        self._members: dict[str, int] = {}  # group -> members here, those on their way in among them
        self._doubtful: set[bytes] = set()  # rows whose last move has had no answer
        self.wrong = WrongKeys(prefix, self.link.command)
        self._strays: dict[str, set[bytes]] = {}  # rows that may be in a group with a wrong key, and should not
        self._mending: set[bytes] = set()  # keys that were wrong, and what belongs to them is to be put right
        self._owed: dict[bytes, str] = {}  # rows that are still to be taken out, with their group

    # --- channels ---

    def expect(self, group: str) -> None:
        """Hear `group`, because a connection is about to enter it. Has its counterpart in `release`."""
        here = self._members.get(group, 0)
        self._members[group] = here + 1
        if not here:
            self.link.subscribe(schema.group_channel(self.prefix, group))

    def release(self, group: str) -> None:
        """A connection has left `group`; the last one ends the subscription."""
        here = self._members[group] - 1
        if here:
            self._members[group] = here
        else:
            del self._members[group]
            self.link.unsubscribe(schema.group_channel(self.prefix, group))

    # --- connections ---

    async def enter(
        self, place: Place, most: int, since: Since = NOWHERE, ticket: TicketUse = NO_TICKET
    ) -> list[Any] | int | bytes:
        """Count a connection whose home is here; return what ``enter.lua`` does. `most` is 0 for any number."""
        user = place.user
        found: list[Any] | int | bytes
        try:
            found = await self.link.run(
                "enter", self.life, place.row, schema.encode(user.user_id), user.connection_id, self._node, most,
                self._epoch(), schema.encode(since.epoch), since.seq, ticket.id, max(1, int(ticket.lasts * 1000)),
            )  # fmt: skip
        except WrongTypeError:
            if user.connection_id not in self._places:  # it is refused, though half of it may be done
                self._owed[place.row] = ""
            raise
        return found

    async def move(
        self,
        place: Place,
        old: str,
        new: str,
        code_new: bytes = b"J",
        *,
        since: Since = NOWHERE,
        number: int = 0,
        charged: str = "",
    ) -> Any:
        """Take a connection out of one group of the bucket (or none) and into another; return what it has replayed.

        `charged` is the user whose budget a new group is taken out of.
        """
        try:
            notices, replayed = await self.link.run(
                "move", self.life, place.row, schema.encode(old), schema.encode(new), self._epoch(), b"L", code_new,
                schema.encode(since.epoch), since.seq, number, schema.encode(charged),
            )  # fmt: skip
        except WrongTypeError:
            for group in filter(None, (old, new)):
                self._strays.setdefault(group, set()).add(place.row)
            raise
        except BaseException:
            self._doubtful.add(place.row)
            raise
        if notices < 0:
            raise budgets.refusal(self._window.user, replayed[0] / 1000)
        self.notices += notices
        return replayed

    async def leave(self, row: bytes, group: str, code: bytes = b"L") -> None:
        """Take a connection out of a group of the bucket."""
        try:
            self.notices += await self.link.run("leave", self.life, row, schema.encode(group), code)
        except WrongTypeError:
            self.abandon(row, group)
            raise
        except BaseException:
            self._doubtful.add(row)
            raise

    def abandon(self, row: bytes, group: str) -> None:
        """A connection has left a group of which a key is wrong: it is taken out when that is gone."""
        self._strays.setdefault(group, set()).add(row)

    async def exit(self, row: bytes, group: str) -> None:
        """Take a connection that is gone out of everything in the bucket. Does not fail: it is done when it can be."""
        self._doubtful.discard(row)
        self._owed[row] = group
        if self.link.ready:
            with suppress(CommandError):
                await self._exit(row, group)

    async def send_off(self, places: list[Place], absence: float) -> None:
        """Expect connections back that are members here, for `absence` seconds: see `hubbub.groups.absences`."""
        for chunk in _chunks(iter(places)):
            rows = (part for place in chunk for part in (place.row, schema.encode(place.group or "")))
            await self.link.run("send_off", self.life, int(absence * 1000), *rows)

    async def _exit(self, row: bytes, group: str) -> None:
        self.notices += await self.link.run("exit", self.life, row, schema.encode(group))
        self._owed.pop(row, None)

    # --- life and death (`link.Owner`) ---

    async def revive(self) -> None:
        """Begin a new life on a new connection, and make the bucket agree with what is known here.

        Connections may go meanwhile; they are taken out at the end. None can come or move before this has ended.
        """
        if self.life:
            self._earlier.append(self.life)
            del self._earlier[1:-MOST_LIVES]
        self.life = f"{self._node}.{next(self._lives)}"
        self.hearing.hold()
        self.link.subscribe(self._own_channel)
        for group in self._members:
            self.link.subscribe(schema.group_channel(self.prefix, group))
        self._owed.clear()  # those that are gone are not known here any more
        kept = self._window.shared()
        try:
            known, others, *found = await self.link.run(
                "revive", self._node, self.life, self._epoch(), kept, *self._earlier
            )
        except WrongTypeError:
            await self.wrong.look()
            raise
        self._lease.extend(self.life)
        if others not in (b"", kept.encode()):
            log.warning(
                "a node that came before keeps %s, this one %s: while they differ, who resumes may be told of a gap "
                "though nothing had to be lost; start all nodes with the same settings",
                others.decode(), kept,
            )  # fmt: skip
        if known == DEAD:
            for life in self._earlier:
                await self._bury(life, 0)
        await self._keep_out()
        await self._correct(dict(zip(found[::2], found[1::2], strict=True)), known)
        await self._catch_up()
        left = 0
        while len(self._owed) != left:  # what a wrong key holds up is left over, and tried again with each beat
            left = len(self._owed)
            await self._settle()
        self._mending |= await self.wrong.look()
        self.hearing.release()
        self._earlier.clear()
        self._doubtful.clear()

    async def beat(self) -> None:
        """Renew the lease, as the thread with the heartbeats does, take out what is owed, bury the dead."""
        if self._resigned:
            return
        dead = await self._beat()
        await self._look()
        if self._owed:
            await self._settle()
        for life in dead:
            await self._bury(life.decode(), int(SILENCE * 1000))

    def suspect(self, arguments: tuple[Argument, ...]) -> None:
        """Note that a command has met a key of the wrong type."""
        self.wrong.suspect(arguments)

    async def resign(self) -> None:
        """Say that this node ends. From then on it gives no sign of life."""
        self._resigned = True
        self._lease.end()
        await self._bury(self.life, 0)

    async def _catch_up(self) -> None:
        for kind, streams in (("group", self.hearing.groups), ("user", self.hearing.users)):
            await _in_chunks(self.hearing.catch_up(kind, name, self.link.run) for name in list(streams.heard))

    async def _beat(self) -> list[bytes]:
        dead: list[bytes]
        try:
            dead, notices = await self.link.run("beat", self.life, int(SILENCE * 1000), int(BEAT * 1000))
        except WrongTypeError:
            dead, notices = [], 0
        self.notices += notices
        self._lease.extend(self.life)
        return dead

    async def _settle(self) -> None:
        await _in_chunks(self._exit(row, group) for row, group in list(self._owed.items()))

    async def _bury(self, life: str, silence: int) -> None:
        loop = asyncio.get_running_loop()
        left, next_beat = 1, loop.time() + BEAT
        while left:
            try:
                left, notices = await self.link.run("bury", life, silence, CHUNK)
            except WrongTypeError:  # whose it is, is among what the dead one has left
                self.suspect(tuple(await self._left_by(life)))
                self._mending |= await self.wrong.look()
                await _in_chunks(self.link.run("bury", life, silence, 1) for _ in range(CHUNK))  # each by itself
                return
            self.notices += notices
            if life != self.life and loop.time() >= next_beat:  # a large one may take longer than silence may last
                next_beat = loop.time() + BEAT
                await self._beat()

    async def _left_by(self, life: str) -> list[bytes]:
        try:
            found = await self.link.command(b"HRANDFIELD", f"{self.prefix}n:{life}", CHUNK, b"WITHVALUES")
        except WrongTypeError:
            return []
        return [part for field, group in found for part in (field[1:], group)]

    async def _look(self) -> None:
        """Find out about wrong keys; put right what belongs to those that are gone."""
        right = await self.wrong.look()
        self._mending |= right | self.hearing.wrong
        self.hearing.wrong.clear()
        for name in list(self._mending):
            await self._mend(name)
            self._mending.discard(name)
            self.wrong.release()
        if right:
            lives = await self.link.command(b"ZRANGE", self.prefix + "lives", 0, -1)
            for node in {life.decode().rpartition(".")[0] for life in lives} - {self._node}:
                for name in right:
                    await self.link.command(b"SPUBLISH", schema.node_channel(self.prefix, node), b"W" + name)

    async def _mend(self, name: bytes) -> None:
        """Put right what belongs to a key that was wrong and is gone; `name` is without the prefix."""
        places = list(self._places.values())
        if name in SHARD or name[:1] == b"n":
            groups = {*self._members, *self._strays}
            users = {place.user.user_id for place in places if place.home == self.number}
        else:
            about = schema.decode(name[2:])
            groups = {about} if name[:1] in b"ghma" else set()
            users = {about} if name[:1] in b"uji" else set()
        await _in_chunks(
            self.enter(place, 0) for place in places if place.home == self.number and place.user.user_id in users
        )
        here: dict[str, list[bytes]] = {group: [] for group in groups}
        for place in places:
            if place.group_in(self.number) in here:
                here[place.group_in(self.number)].append(place.row)
        await _in_chunks(self._mend_group(group, rows) for group, rows in here.items())
        run = self.link.run
        await _in_chunks(self.hearing.catch_up("user", user, run) for user in users)
        await _in_chunks(self.hearing.catch_up("group", group, run) for group in groups)

    async def _mend_group(self, group: str, rows: list[bytes]) -> None:
        strays = self._strays.get(group, set()) - set(rows) - self._owed.keys()
        await self.link.run("mend", self.life, schema.encode(group), self._epoch(), len(rows), *rows, *strays)
        self._strays.pop(group, None)

    async def _correct(self, found: dict[bytes, bytes], known: int) -> None:
        """Put right what the bucket has of this node; `found` are the entries of its hash ``n:``, see `keys`."""
        places = {place.row: place for place in self._places.values()}
        strangers = {row for row in (field[1:] for field in found) if row not in places}
        groups = {field[1:]: schema.decode(group) for field, group in found.items() if field[:1] == b"m"}
        await _in_chunks(self._exit(row, groups.get(row, "")) for row in strangers)
        await _in_chunks(
            self._restore(place, entered=b"u" + row in found, there=groups.get(row, ""), known=known)
            for row, place in places.items()
            if self.number in (place.home, place.bucket) or row in groups
        )

    async def _keep_out(self) -> None:
        """End the connections here of those who were to be kept out while nobody could tell this node."""
        banned = {schema.decode(user) for user in await self.link.run("bans")} if self._places else set()
        for user_id in banned & {place.user.user_id for place in self._places.values() if place.home == self.number}:
            self.hearing.disconnect(user_id)

    async def _restore(self, place: Place, *, entered: bool, there: str, known: int) -> None:
        if place.home == self.number and not entered and isinstance(await self.enter(place, 0), int):
            self.hearing.disconnect(place.user.user_id)  # kept out, by somebody who did not know that it is here
            return
        group = place.group_in(self.number)
        if there and not group:
            await self.leave(place.row, there)
        elif there != group:
            # Others have heard that it went if it was buried, or if it was on its way when the connection was lost. But
            # if the store has forgotten this node, or lost its last moments, it comes back in silence.
            heard = known == DEAD or (place.row in self._doubtful and known != FORGOTTEN)
            await self.move(place, there, group, b"J" if heard else b"")


async def _in_chunks(work: Iterator[Coroutine[Any, Any, T]]) -> None:
    """Run all of `work`, some at the same time, so that they share round trips. What meets a wrong key is left out."""
    for chunk in _chunks(work):
        await asyncio.gather(*(_unless_wrong(each) for each in chunk))


async def _unless_wrong(work: Coroutine[Any, Any, T]) -> None:
    with suppress(WrongTypeError):
        await work


def _chunks(items: Iterator[T]) -> Iterator[list[T]]:
    """Take `items` some at a time."""
    while chunk := list(islice(items, CHUNK)):
        yield chunk
