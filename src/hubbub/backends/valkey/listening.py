"""The groups that programs on this node listen to: received and kept even if they have no members."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.inbound import group_replay
from hubbub.backends.valkey.offsets import NOWHERE, Since
from hubbub.backends.valkey.shard import Shard
from hubbub.backends.valkey.shards import Shards
from hubbub.errors import CommandError
from hubbub.groups import kept_bytes
from hubbub.groups.history import Replay


class Listening:
    """Counts the listeners of each group, and renews the groups in the store.

    Args:
        shards: The shards.
        age: Seconds for which the store keeps a group without members.
    """

    def __init__(self, shards: Shards, age: float) -> None:
        self._shards = shards
        self._every = age / 3
        self._groups: Counter[str] = Counter()
        self._renewing: asyncio.Task[None] | None = None

    async def begin(self, group: str, since: Since = NOWHERE, number: int = 0, charged: str = "") -> Replay:
        """Receive `group`, and return what is replayed of it: see `hubbub.backends.base.Backend.listen`."""
        shard = self._shards.of(group)
        shard.link.require_ready()
        shard.wrong.require_group(group)
        shard.subscribe(group)
        try:
            found = await self._listen(shard, group, since, number, charged)
        except BaseException:
            shard.unsubscribe(group)
            raise
        replay = group_replay(found, group)
        shard.joined(group, replay.position)
        self._groups[group] += 1
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        return replay

    def end(self, group: str) -> None:
        """Receive `group` for one listener less."""
        self._groups[group] -= 1
        if not self._groups[group]:
            del self._groups[group]
        self._shards.of(group).unsubscribe(group)

    async def close(self) -> None:
        """Renew nothing more."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            for group in list(self._groups):
                shard = self._shards.of(group)
                with suppress(CommandError):  # the store is away: the correction reports what is missing then
                    found = await self._listen(shard, group)
                    received = shard.inbound.groups.received.get(group)
                    if received is not None and received.epoch != group_replay(found, group).position.epoch:
                        await shard.inbound.catch_up("group", group, shard.link.run)

    async def _listen(
        self, shard: Shard, group: str, since: Since = NOWHERE, number: int = 0, charged: str = ""
    ) -> list[Any]:
        """Keep the group in the store; return what is replayed. Raises `CommandError`."""
        found: list[Any] = await shard.link.run(
            "listen", schema.encode(group), shard.new_epoch(), schema.encode(since.epoch), since.seq, number,
            schema.encode(charged),
        )  # fmt: skip
        if len(found) == 1:
            raise kept_bytes.refusal(shard.window.user, found[0] / 1000)
        return found
