"""How one shard of the store is made to agree with what this node knows of its own connections.

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
from hubbub.backends.valkey.local_members import LocalMember, LocalMembers
from hubbub.backends.valkey.offsets import NOWHERE, Since
from hubbub.backends.valkey.scripts import Script
from hubbub.backends.valkey.wrong_keys import SHARD, WrongKeys
from hubbub.errors import CommandError
from hubbub.groups import kept_bytes as budgets
from hubbub.groups.history import Window

NO_TICKET = TicketUse("", 0.0)

SILENCE = 3.0
"""Seconds without a sign of incarnation after which a node counts as dead."""

CHUNK = 500
"""Connections that are put right, or buried, in one go."""

MAX_INCARNATIONS = 50
"""Most earlier lives that are remembered while none comes to an end."""

DEAD = 1
"""What ``register.lua`` answers if this node was declared dead."""

FORGOTTEN = 0
"""What it answers if the store does not know this node."""

log = logging.getLogger("hubbub.valkey")

T = TypeVar("T")


class Shard:
    """What a node has in one shard.

    Args:
        node: The id of this node.
        number: The number of the shard.
        prefix: What all its keys and channels begin with.
        open_connection: Opens a connection to the server that has the shard.
        members: All connections of this node.
        epoch: Makes an epoch that was never used.
        scripts: What the shard can run.
        inbound: What its channels bring.
        lease: What the thread with the heartbeats renews.
        window: How much is kept.
        shared: Whether other shards use the connections as well.

    Attributes:
        link: The way to the shard.
        inbound: As given.
        prefix: As given.
        incarnation: The id under which the shard knows this node now.
        notices: How many notices were made from here.
    """

    def __init__(
        self,
        node: str,
        number: int,
        prefix: str,
        open_connection: Opener,
        members: LocalMembers,
        epoch: Callable[[], str],
        scripts: dict[str, Script],
        inbound: Inbound,
        lease: Lease,
        window: Window,
        *,
        shared: bool,
    ) -> None:
        self.inbound = inbound
        self.link = Link(open_connection, prefix, scripts, self, shared=shared)
        self.number = number
        self.prefix = prefix
        self.incarnation = ""
        self.notices = 0
        self._lease = lease
        self._window = window
        self._node = node
        self._own_channel = schema.node_channel(prefix, node)
        self._local_members = members
        self._epoch = epoch
        self._incarnations = count(1)
        self._resigned = False
        self._earlier: list[str] = []  # lives that may have left something
        self._members: dict[str, int] = {}  # group -> members here, those on their way in among them
        self._doubtful: set[bytes] = set()  # rows whose last move has had no answer
        self.wrong = WrongKeys(prefix, self.link.command)
        self._strays: dict[str, set[bytes]] = {}  # rows that may be in a group with a wrong key, and should not
        self._to_repair: set[bytes] = set()  # keys that were wrong, and what belongs to them is to be put right
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

    async def connect(
        self, member: LocalMember, most: int, since: Since = NOWHERE, ticket: TicketUse = NO_TICKET
    ) -> list[Any] | int | bytes:
        """Count a connection whose home is here; return what ``connect.lua`` does. `most` is 0 for any number."""
        user = member.user
        found: list[Any] | int | bytes
        try:
            found = await self.link.run(
                "connect", self.incarnation, member.row, schema.encode(user.user_id), user.connection_id, self._node, most,
                self._epoch(), schema.encode(since.epoch), since.seq, ticket.id, max(1, int(ticket.lasts * 1000)),
            )  # fmt: skip
        except WrongTypeError:
            if user.connection_id not in self._local_members:  # it is refused, though half of it may be done
                self._owed[member.row] = ""
            raise
        return found

    async def move(
        self,
        member: LocalMember,
        old: str,
        new: str,
        code_new: bytes = b"J",
        *,
        since: Since = NOWHERE,
        number: int = 0,
        charged: str = "",
    ) -> Any:
        """Take a connection out of one group of the shard (or none) and into another; return what it has replayed.

        `charged` is the user whose budget a new group is taken out of.
        """
        try:
            notices, replayed = await self.link.run(
                "move", self.incarnation, member.row, schema.encode(old), schema.encode(new), self._epoch(), b"L", code_new,
                schema.encode(since.epoch), since.seq, number, schema.encode(charged),
            )  # fmt: skip
        except WrongTypeError:
            for group in filter(None, (old, new)):
                self._strays.setdefault(group, set()).add(member.row)
            raise
        except BaseException:
            self._doubtful.add(member.row)
            raise
        if notices < 0:
            raise budgets.refusal(self._window.user, replayed[0] / 1000)
        self.notices += notices
        return replayed

    async def leave(self, row: bytes, group: str, code: bytes = b"L") -> None:
        """Take a connection out of a group of the shard."""
        try:
            self.notices += await self.link.run("leave", self.incarnation, row, schema.encode(group), code)
        except WrongTypeError:
            self.abandon(row, group)
            raise
        except BaseException:
            self._doubtful.add(row)
            raise

    def abandon(self, row: bytes, group: str) -> None:
        """A connection has left a group of which a key is wrong: it is taken out when that is gone."""
        self._strays.setdefault(group, set()).add(row)

    async def remove_connection(self, row: bytes, group: str) -> None:
        """Take a connection that is gone out of everything in the shard. Does not fail: it is done when it can be."""
        self._doubtful.discard(row)
        self._owed[row] = group
        if self.link.ready:
            with suppress(CommandError):
                await self._remove_connection(row, group)

    async def send_off(self, members: list[LocalMember], absence: float) -> None:
        """Expect connections back that are members here, for `absence` seconds: see `hubbub.groups.absences`."""
        for chunk in _chunks(iter(members)):
            rows = (part for member in chunk for part in (member.row, schema.encode(member.group or "")))
            await self.link.run("send_off", self.incarnation, int(absence * 1000), *rows)

    async def _remove_connection(self, row: bytes, group: str) -> None:
        self.notices += await self.link.run("remove_connection", self.incarnation, row, schema.encode(group))
        self._owed.pop(row, None)

    # --- incarnation and death (`link.Owner`) ---

    async def register(self) -> None:
        """Begin a new incarnation on a new connection, and make the shard agree with what is known here.

        Connections may go meanwhile; they are taken out at the end. None can come or move before this has ended.
        """
        if self.incarnation:
            self._earlier.append(self.incarnation)
            del self._earlier[1:-MAX_INCARNATIONS]
        self.incarnation = f"{self._node}.{next(self._incarnations)}"
        self.inbound.hold()
        self.link.subscribe(self._own_channel)
        for group in self._members:
            self.link.subscribe(schema.group_channel(self.prefix, group))
        self._owed.clear()  # those that are gone are not known here any more
        kept = self._window.shared()
        try:
            known, others, *found = await self.link.run(
                "register", self._node, self.incarnation, self._epoch(), kept, *self._earlier
            )
        except WrongTypeError:
            await self.wrong.look()
            raise
        self._lease.extend(self.incarnation)
        if others not in (b"", kept.encode()):
            log.warning(
                "a node that came before keeps %s, this one %s: while they differ, who resumes may be told of a gap "
                "though nothing had to be lost; start all nodes with the same settings",
                others.decode(), kept,
            )  # fmt: skip
        if known == DEAD:
            for incarnation in self._earlier:
                await self._expire_node(incarnation, 0)
        await self._keep_out()
        await self._correct(dict(zip(found[::2], found[1::2], strict=True)), known)
        await self._catch_up()
        left = 0
        while len(self._owed) != left:  # what a wrong key holds up is left over, and tried again with each beat
            left = len(self._owed)
            await self._settle()
        self._to_repair |= await self.wrong.look()
        self.inbound.release()
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
        for incarnation in dead:
            await self._expire_node(incarnation.decode(), int(SILENCE * 1000))

    def suspect(self, arguments: tuple[Argument, ...]) -> None:
        """Note that a command has met a key of the wrong type."""
        self.wrong.suspect(arguments)

    async def resign(self) -> None:
        """Say that this node ends. From then on it gives no sign of incarnation."""
        self._resigned = True
        self._lease.end()
        await self._expire_node(self.incarnation, 0)

    async def _catch_up(self) -> None:
        for kind, streams in (("group", self.inbound.groups), ("user", self.inbound.users)):
            await _in_chunks(self.inbound.catch_up(kind, name, self.link.run) for name in list(streams.heard))

    async def _beat(self) -> list[bytes]:
        dead: list[bytes]
        try:
            dead, notices = await self.link.run("sweep", self.incarnation, int(SILENCE * 1000), int(BEAT * 1000))
        except WrongTypeError:
            dead, notices = [], 0
        self.notices += notices
        self._lease.extend(self.incarnation)
        return dead

    async def _settle(self) -> None:
        await _in_chunks(self._remove_connection(row, group) for row, group in list(self._owed.items()))

    async def _expire_node(self, incarnation: str, silence: int) -> None:
        loop = asyncio.get_running_loop()
        left, next_beat = 1, loop.time() + BEAT
        while left:
            try:
                left, notices = await self.link.run("expire_node", incarnation, silence, CHUNK)
            except WrongTypeError:  # whose it is, is among what the dead one has left
                self.suspect(tuple(await self._left_by(incarnation)))
                self._to_repair |= await self.wrong.look()
                await _in_chunks(
                    self.link.run("expire_node", incarnation, silence, 1) for _ in range(CHUNK)
                )  # each by itself
                return
            self.notices += notices
            if (
                incarnation != self.incarnation and loop.time() >= next_beat
            ):  # a large one may take longer than silence may last
                next_beat = loop.time() + BEAT
                await self._beat()

    async def _left_by(self, incarnation: str) -> list[bytes]:
        try:
            found = await self.link.command(b"HRANDFIELD", f"{self.prefix}n:{incarnation}", CHUNK, b"WITHVALUES")
        except WrongTypeError:
            return []
        return [part for field, group in found for part in (field[1:], group)]

    async def _look(self) -> None:
        """Find out about wrong keys; put right what belongs to those that are gone."""
        right = await self.wrong.look()
        self._to_repair |= right | self.inbound.wrong
        self.inbound.wrong.clear()
        for name in list(self._to_repair):
            await self._repair(name)
            self._to_repair.discard(name)
            self.wrong.release()
        if right:
            lives = await self.link.command(b"ZRANGE", self.prefix + "lives", 0, -1)
            for node in {incarnation.decode().rpartition(".")[0] for incarnation in lives} - {self._node}:
                for name in right:
                    await self.link.command(b"SPUBLISH", schema.node_channel(self.prefix, node), b"W" + name)

    async def _repair(self, name: bytes) -> None:
        """Put right what belongs to a key that was wrong and is gone; `name` is without the prefix."""
        members = list(self._local_members.values())
        if name in SHARD or name[:1] == b"n":
            groups = {*self._members, *self._strays}
            users = {member.user.user_id for member in members if member.home == self.number}
        else:
            about = schema.decode(name[2:])
            groups = {about} if name[:1] in b"ghma" else set()
            users = {about} if name[:1] in b"uji" else set()
        await _in_chunks(
            self.connect(member, 0) for member in members if member.home == self.number and member.user.user_id in users
        )
        here: dict[str, list[bytes]] = {group: [] for group in groups}
        for member in members:
            if member.group_in(self.number) in here:
                here[member.group_in(self.number)].append(member.row)
        await _in_chunks(self._repair_group(group, rows) for group, rows in here.items())
        run = self.link.run
        await _in_chunks(self.inbound.catch_up("user", user, run) for user in users)
        await _in_chunks(self.inbound.catch_up("group", group, run) for group in groups)

    async def _repair_group(self, group: str, rows: list[bytes]) -> None:
        strays = self._strays.get(group, set()) - set(rows) - self._owed.keys()
        await self.link.run("repair", self.incarnation, schema.encode(group), self._epoch(), len(rows), *rows, *strays)
        self._strays.pop(group, None)

    async def _correct(self, found: dict[bytes, bytes], known: int) -> None:
        """Put right what the shard has of this node; `found` are the entries of its hash ``n:``, see `keys`."""
        members = {member.row: member for member in self._local_members.values()}
        strangers = {row for row in (field[1:] for field in found) if row not in members}
        groups = {field[1:]: schema.decode(group) for field, group in found.items() if field[:1] == b"m"}
        await _in_chunks(self._remove_connection(row, groups.get(row, "")) for row in strangers)
        await _in_chunks(
            self._restore(member, entered=b"u" + row in found, there=groups.get(row, ""), known=known)
            for row, member in members.items()
            if self.number in (member.home, member.shard) or row in groups
        )

    async def _keep_out(self) -> None:
        """End the connections here of those who were to be kept out while nobody could tell this node."""
        banned = {schema.decode(user) for user in await self.link.run("bans")} if self._local_members else set()
        for user_id in banned & {
            member.user.user_id for member in self._local_members.values() if member.home == self.number
        }:
            self.inbound.disconnect(user_id)

    async def _restore(self, member: LocalMember, *, entered: bool, there: str, known: int) -> None:
        if member.home == self.number and not entered and isinstance(await self.connect(member, 0), int):
            self.inbound.disconnect(member.user.user_id)  # kept out, by somebody who did not know that it is here
            return
        group = member.group_in(self.number)
        if there and not group:
            await self.leave(member.row, there)
        elif there != group:
            # Others have heard that it went if it was buried, or if it was on its way when the connection was lost. But
            # if the store has forgotten this node, or lost its last moments, it comes back in silence.
            heard = known == DEAD or (member.row in self._doubtful and known != FORGOTTEN)
            await self.move(member, there, group, b"J" if heard else b"")


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
