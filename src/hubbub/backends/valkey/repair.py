"""Repairs the groups and users of one shard after a key of the wrong type is gone: see `wrong_keys`."""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.chunks import run_in_chunks
from hubbub.backends.valkey.shard import Shard
from hubbub.backends.valkey.wrong_keys import SHARD_TYPES


class Repair:
    """The repairs that this node owes to one shard.

    Args:
        shard: The shard.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._pending: set[bytes] = set()  # keys that were wrong, without the prefix

    async def look(self) -> set[bytes]:
        """Find wrong keys, and keys that are right again, which `run` will repair; return the latter."""
        right = await self._shard.wrong.look()
        self._pending |= right
        return right

    async def run(self) -> None:
        """Find wrong keys; repair what belongs to keys that are right again, and tell the other nodes to do so."""
        right = await self.look()
        inbound = self._shard.inbound
        self._pending |= inbound.repaired
        inbound.repaired.clear()
        for name in list(self._pending):
            await self._repair(name)
            self._pending.discard(name)
            self._shard.wrong.release()
        if right:
            await self._tell_others(right)

    async def _tell_others(self, names: set[bytes]) -> None:
        shard = self._shard
        incarnations = await shard.link.command(b"ZRANGE", shard.prefix + schema.INCARNATIONS, 0, -1)
        for node in {each.decode().rpartition(".")[0] for each in incarnations} - {shard.node}:
            for name in names:
                await shard.link.command(b"SPUBLISH", schema.node_channel(shard.prefix, node), b"W" + name)

    async def _repair(self, name: bytes) -> None:
        """Repair what belongs to a key that was wrong and is gone; `name` is without the prefix."""
        shard = self._shard
        users, groups = self._affected(name)
        members = list(shard.members.values())
        await run_in_chunks(
            shard.connect(member, 0)
            for member in members
            if member.user_shard == shard.number and member.user.user_id in users
        )
        rows: dict[str, list[bytes]] = {group: [] for group in groups}
        for member in members:
            if member.group_in(shard.number) in rows:
                rows[member.group_in(shard.number)].append(member.row)
        await run_in_chunks(self._repair_group(group, there) for group, there in rows.items())
        run = shard.link.run
        await run_in_chunks(shard.inbound.catch_up("user", user, run) for user in users)
        await run_in_chunks(shard.inbound.catch_up("group", group, run) for group in groups)

    def _affected(self, name: bytes) -> tuple[set[str], set[str]]:
        """Return the users and the groups that a key belongs to."""
        shard = self._shard
        if name in SHARD_TYPES or name[:1] == b"n":
            users = {each.user.user_id for each in shard.members.values() if each.user_shard == shard.number}
            return users, {*shard.inbound.groups.names(), *shard.strays}
        about = schema.decode(name[2:])
        return {about} if name[:1] in b"uji" else set(), {about} if name[:1] in b"ghma" else set()

    async def _repair_group(self, group: str, rows: list[bytes]) -> None:
        shard = self._shard
        strays = shard.strays.get(group, set()) - set(rows) - shard.owed.keys()
        await shard.link.run(
            "repair", shard.incarnation, schema.encode(group), shard.new_epoch(), len(rows), *rows, *strays
        )
        shard.strays.pop(group, None)
