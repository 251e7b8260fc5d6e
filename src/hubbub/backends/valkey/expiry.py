"""Expires nodes that send no heartbeats, and this node's own entries when it stops."""

from __future__ import annotations

import asyncio

from hubbub.backends.valkey import chunks
from hubbub.backends.valkey.chunks import run_in_chunks
from hubbub.backends.valkey.connection import WrongTypeError
from hubbub.backends.valkey.heartbeat import Lease
from hubbub.backends.valkey.link import HEARTBEAT
from hubbub.backends.valkey.repair import Repair
from hubbub.backends.valkey.shard import Shard

SILENCE = 3.0
"""Seconds without a heartbeat after which a node counts as dead."""


class Expiry:
    """Looks for dead nodes in one shard, and removes what they have left there.

    Args:
        shard: The shard.
        lease: The lease of this node in it.
        repair: Is told when a dead node's entries meet a wrong key.
    """

    def __init__(self, shard: Shard, lease: Lease, repair: Repair) -> None:
        self._shard = shard
        self._lease = lease
        self._repair = repair

    async def sweep(self) -> list[bytes]:
        """Renew the lease of this node, and end absences that are over; return the incarnations that are dead."""
        shard = self._shard
        dead: list[bytes]
        try:
            dead, notices, feed = await shard.link.run(
                "sweep", shard.incarnation, int(SILENCE * 1000), int(HEARTBEAT * 1000)
            )
        except WrongTypeError:
            dead, notices, feed = [], 0, shard.feeding
        shard.notices += notices
        shard.feeding = bool(feed)
        self._lease.extend(shard.incarnation)
        return dead

    async def expire_silent(self, incarnation: str) -> None:
        """Remove what `incarnation` has left, unless a heartbeat of it has arrived meanwhile."""
        await self._expire(incarnation, int(SILENCE * 1000))

    async def expire(self, incarnation: str) -> None:
        """Remove what `incarnation` has left, however recent its last heartbeat is."""
        await self._expire(incarnation, 0)

    async def _expire(self, incarnation: str, silence: int) -> None:
        shard, loop = self._shard, asyncio.get_running_loop()
        left, next_sweep = 1, loop.time() + HEARTBEAT
        while left:
            try:
                left, notices, lost = await shard.link.run("expire_node", incarnation, silence, chunks.CHUNK)
            except WrongTypeError:  # the wrong key belongs to one of the entries that the dead node has left
                shard.wrong.suspect(tuple(await self._entries_of(incarnation)))
                await self._repair.look()
                await run_in_chunks(  # one by one, so that only the entries with a wrong key stay
                    shard.link.run("expire_node", incarnation, silence, 1) for _ in range(chunks.CHUNK)
                )
                return
            shard.notices += notices
            if lost:
                shard.inbound.members_lost(lost)
            # To expire a large node may take longer than this node may be silent.
            if incarnation != shard.incarnation and loop.time() >= next_sweep:
                next_sweep = loop.time() + HEARTBEAT
                await self.sweep()

    async def _entries_of(self, incarnation: str) -> list[bytes]:
        """Return rows and groups that an incarnation has left."""
        key = f"{self._shard.prefix}n:{incarnation}"
        try:
            found = await self._shard.link.command(b"HRANDFIELD", key, chunks.CHUNK, b"WITHVALUES")
        except WrongTypeError:
            return []
        return [part for field, group in found for part in (field[1:], group)]
