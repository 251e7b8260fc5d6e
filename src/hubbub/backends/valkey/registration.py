"""The registration of this node in one shard: made on each new connection, renewed by heartbeats, and ended."""

from __future__ import annotations

import logging
from itertools import count

from hubbub.backends.valkey import correction, schema, schema_version
from hubbub.backends.valkey.changes import Changes
from hubbub.backends.valkey.connection import Argument, WrongTypeError
from hubbub.backends.valkey.expiry import Expiry
from hubbub.backends.valkey.heartbeat import Lease
from hubbub.backends.valkey.repair import Repair
from hubbub.backends.valkey.shard import Shard
from hubbub.errors import StoreError

MAX_EARLIER = 50
"""Most earlier incarnations that are remembered while no registration succeeds."""

log = logging.getLogger("hubbub.valkey")


class Registration:
    """Keeps one shard informed about this node; the `link.Owner` of its connection.

    Args:
        shard: The shard.
        lease: The lease that the heartbeat thread renews.
        changes: Is told when changes in the shard may have been missed.
    """

    def __init__(self, shard: Shard, lease: Lease, changes: Changes) -> None:
        self.shard = shard
        self._changes = changes
        self._lease = lease
        self._repair = Repair(shard)
        self._expiry = Expiry(shard, lease, self._repair)
        self._version = schema_version.CURRENT
        self._numbers = count(1)
        self._earlier: list[str] = []  # incarnations that may have left entries
        self._resigned = False

    async def start(self) -> None:
        """Connect and register. Raises `StoreError` if the shard cannot be reached, or cannot be shared."""
        await self.shard.link.start(self)

    async def register(self) -> None:
        """Begin a new incarnation on a new connection, and correct the shard from what is known here.

        Connections may be lost meanwhile; they are removed at the end. None can connect or move until this is done.
        """
        shard = self.shard
        self._begin_incarnation()
        self._subscribe()
        shard.owed.clear()  # lost connections are unknown here by now, so the correction removes them
        known, found = await self._run_register()
        self._lease.extend(shard.incarnation)
        if known == correction.DEAD:
            for incarnation in self._earlier:
                await self._expiry.expire(incarnation)
        await correction.close_banned(shard)
        await correction.correct(shard, found, known)
        await correction.catch_up(shard)
        left = 0
        while len(shard.owed) != left:  # what a wrong key blocks is left over, and tried again with each heartbeat
            left = len(shard.owed)
            await shard.remove_owed()
        await self._repair.look()
        shard.inbound.release()
        self._changes.restart()
        self._earlier.clear()
        shard.unconfirmed.clear()

    async def heartbeat(self) -> None:
        """Renew the lease, as the heartbeat thread does; repair, remove what is owed, and expire dead nodes."""
        if self._resigned:
            return
        dead = await self._expiry.sweep()
        await self._repair.run()
        if self.shard.owed:
            await self.shard.remove_owed()
        for incarnation in dead:
            await self._expiry.expire_silent(incarnation.decode())

    def suspect(self, arguments: tuple[Argument, ...]) -> None:
        """Note that a command has met a key of the wrong type."""
        self.shard.wrong.suspect(arguments)

    async def resign(self) -> None:
        """Remove everything of this node from the shard; from then on it sends no heartbeats."""
        self._resigned = True
        self._lease.end()
        await self._expiry.expire(self.shard.incarnation)

    def _begin_incarnation(self) -> None:
        shard = self.shard
        if shard.incarnation:
            self._earlier.append(shard.incarnation)
            del self._earlier[1:-MAX_EARLIER]
        shard.incarnation = f"{shard.node}.{next(self._numbers)}"

    def _subscribe(self) -> None:
        """Subscribe to everything on the new connection, and hold back what arrives."""
        shard = self.shard
        shard.inbound.hold()
        shard.link.subscribe(schema.node_channel(shard.prefix, shard.node))
        for group in shard.inbound.groups.names():
            shard.link.subscribe(schema.group_channel(shard.prefix, group))

    async def _run_register(self) -> tuple[int, dict[bytes, bytes]]:
        """Run ``register.lua``; return how the shard knows this node, and what it has of it."""
        shard = self.shard
        kept = shard.window.shared()
        try:
            known, others, *found = await shard.link.run(
                "register", shard.node, shard.incarnation, shard.new_epoch(), kept, *self._version, *self._earlier
            )
        except WrongTypeError:
            await shard.wrong.look()
            raise
        self._require_shared(known, others)
        if others not in (b"", kept.encode()):
            log.warning(
                "another node keeps %s, this one %s: while they differ, clients that resume may get a gap although no "
                "message was lost; start all nodes with the same history settings",
                others.decode(), kept,
            )  # fmt: skip
        return known, dict(zip(found[::2], found[1::2], strict=True))

    def _require_shared(self, known: int, answer: bytes | int) -> None:
        """Raise `StoreError` if ``register.lua`` has refused this node because of its version."""
        reason = None
        if isinstance(answer, int):
            reason = schema_version.refusal_of_nodes(answer, self._version)
        elif known < 0:
            reason = schema_version.refusal(schema_version.parse_version(answer), self._version)
        if reason is not None:
            raise StoreError(reason)
