"""One shard of the store, as one node uses it: the operations on it, and what of them has not been confirmed.

Only the node knows for certain which connections it has. So after an interruption it does not ask the store but
corrects it (see `registration`): an operation that was confirmed stays done, one that was not is undone. This module
keeps what the correction needs to know.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import Any

from hubbub.auth.bans import TicketUse
from hubbub.backends.valkey import schema
from hubbub.backends.valkey.chunks import chunks, run_in_chunks
from hubbub.backends.valkey.connection import Argument, WrongTypeError
from hubbub.backends.valkey.inbound import Inbound
from hubbub.backends.valkey.link import Link, Opener
from hubbub.backends.valkey.local_members import LocalMember, LocalMembers
from hubbub.backends.valkey.offsets import NOWHERE, Since
from hubbub.backends.valkey.posts import Posts
from hubbub.backends.valkey.scripts import Script
from hubbub.backends.valkey.wrong_keys import WrongKeys
from hubbub.errors import CommandError
from hubbub.groups import kept_bytes
from hubbub.groups.history import Window
from hubbub.messages import Position

NO_TICKET = TicketUse("", 0.0)


class Shard:
    """What a node has in one shard.

    Args:
        node: The id of this node.
        number: The number of the shard.
        prefix: What all keys and channels of the shard begin with.
        open_connection: Opens a connection to the server that holds the shard.
        members: All connections of this node.
        new_epoch: Returns an epoch that was never used.
        scripts: The scripts that can be run.
        inbound: Receives what the channels bring.
        window: How much is kept.
        shared: Whether other shards use the same connections.

    Attributes:
        link: The connection to the shard.
        posts: The posts to groups of the shard that wait for the end of the tick.
        incarnation: The id under which the shard knows this node now: see `schema`.
        notices: How many notices this node has caused.
        wrong: The keys of the shard that have the wrong type.
        owed: The rows that are still to be removed, with their groups.
        unconfirmed: The rows whose last move got no reply.
        feeding: Whether there was a feed when the store was asked last; ``sweep.lua`` says so twice a second.
        strays: By group with a wrong key, the rows that may be in it and should not.
    """

    def __init__(
        self,
        node: str,
        number: int,
        prefix: str,
        open_connection: Opener,
        members: LocalMembers,
        new_epoch: Callable[[], str],
        scripts: dict[str, Script],
        inbound: Inbound,
        window: Window,
        *,
        shared: bool,
    ) -> None:
        self.node = node
        self.number = number
        self.prefix = prefix
        self.members = members
        self.new_epoch = new_epoch
        self.inbound = inbound
        self.window = window
        self.link = Link(open_connection, prefix, scripts, shared=shared)
        self.posts = Posts(self.link, inbound, window.user)
        self.incarnation = ""
        self.notices = 0
        self.wrong = WrongKeys(prefix, self.link.command)
        self.owed: dict[bytes, str] = {}
        self.unconfirmed: set[bytes] = set()
        self.feeding = False
        self.strays: dict[str, set[bytes]] = {}

    # --- channels ---

    def subscribe(self, group: str) -> None:
        """Receive `group`, because a connection is about to join it. Undone by `unsubscribe`."""
        if self.inbound.groups.add(group):
            self.link.subscribe(schema.group_channel(self.prefix, group))

    def joined(self, group: str, position: Position) -> None:
        """Note that the connection has joined `group`, and receives what comes after `position`."""
        self.inbound.groups.start_at(group, position)

    def unsubscribe(self, group: str) -> None:
        """Note that a connection has left `group`; after the last one it is not received any more."""
        if self.inbound.groups.remove(group):
            self.link.unsubscribe(schema.group_channel(self.prefix, group))

    # --- connections ---

    async def connect(
        self, member: LocalMember, most: int, since: Since = NOWHERE, ticket: TicketUse = NO_TICKET
    ) -> list[Any] | int | bytes:
        """Count a connection whose user is in this shard; return the reply of ``connect.lua``. `most` 0 is no limit."""
        user = member.user
        found: list[Any] | int | bytes
        try:
            found = await self._change(
                "connect", self.incarnation, member.row, schema.encode(user.user_id), user.connection_id, self.node,
                most, self.new_epoch(), schema.encode(since.epoch), since.seq, ticket.id,
                max(1, int(ticket.lasts * 1000)), member.guest_key,
            )  # fmt: skip
        except WrongTypeError:
            if user.connection_id not in self.members:  # it is refused, but the script may have done half of its work
                self.owed[member.row] = ""
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
        """Move a connection from one group of the shard (or none) to another; return what that replays.

        `charged` is the user whose budget pays for a new group.
        """
        try:
            notices, replayed = await self._change(
                "move", self.incarnation, member.row, schema.encode(old), schema.encode(new), self.new_epoch(), b"L",
                code_new, schema.encode(since.epoch), since.seq, number, schema.encode(charged),
            )  # fmt: skip
        except WrongTypeError:
            for group in filter(None, (old, new)):
                self.abandon(member.row, group)
            raise
        except BaseException:
            self.unconfirmed.add(member.row)
            raise
        if notices < 0:
            raise kept_bytes.refusal(self.window.user, replayed[0] / 1000)
        self.notices += notices
        return replayed

    async def leave(self, row: bytes, group: str, code: bytes = b"L") -> None:
        """Remove a connection from a group of the shard."""
        try:
            self.notices += await self._change("leave", self.incarnation, row, schema.encode(group), code)
        except WrongTypeError:
            self.abandon(row, group)
            raise
        except BaseException:
            self.unconfirmed.add(row)
            raise

    def abandon(self, row: bytes, group: str) -> None:
        """Note that a connection has left a group with a wrong key; the repair of the group removes it there."""
        self.strays.setdefault(group, set()).add(row)

    async def remove_connection(self, row: bytes, group: str) -> None:
        """Remove a lost connection from everything in the shard. Never raises: it is tried until it succeeds."""
        self.unconfirmed.discard(row)
        self.owed[row] = group
        if self.link.ready:
            with suppress(CommandError):
                await self.remove_row(row, group)

    async def remove_row(self, row: bytes, group: str) -> None:
        """Remove a connection from `group` and from its user's entries; it is not owed any more."""
        self.notices += await self._change("remove_connection", self.incarnation, row, schema.encode(group))
        self.owed.pop(row, None)

    async def remove_owed(self) -> None:
        """Remove everything that is owed, except what a wrong key blocks."""
        await run_in_chunks(self.remove_row(row, group) for row, group in list(self.owed.items()))

    async def _change(self, script: str, *arguments: Argument) -> Any:
        """Run the variant of a script that writes the feed, if there is one.

        A script without that changes nothing while there is a feed. Later changes go to the store behind the second
        attempt, since it is made in the step in which the reply to the first one is taken.
        """
        if not self.feeding:
            reply = await self.link.run(script, *arguments)
            if reply != b"FEED":
                return reply
            self.feeding = True
        return await self.link.run(f"{script}+feed", *arguments, round(time() * 1000))

    async def send_off(self, members: list[tuple[bytes, str]], absence: float) -> None:
        """Expect these rows back in these groups, for `absence` seconds: see `hubbub.groups.absences`."""
        for chunk in chunks(members):
            rows = (part for row, group in chunk for part in (row, schema.encode(group)))
            await self.link.run("send_off", self.incarnation, int(absence * 1000), *rows)
