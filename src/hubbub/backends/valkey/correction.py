"""Corrects what one shard has of this node from what the node knows of its own connections."""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.chunks import run_in_chunks
from hubbub.backends.valkey.local_members import LocalMember
from hubbub.backends.valkey.shard import Shard

DEAD = 1
"""The answer of ``register.lua`` if this node was declared dead."""

FORGOTTEN = 0
"""Its answer if the store does not know this node."""


async def correct(shard: Shard, found: dict[bytes, bytes], known: int) -> None:
    """Remove entries of connections that this node does not have, and restore those that are missing.

    Args:
        shard: The shard to correct.
        found: What the shard has of this node: the hash ``n:``, see `schema`.
        known: How the shard knows this node: what ``register.lua`` has answered.
    """
    members = {member.row: member for member in shard.members.values()}
    unknown = {row for row in (field[1:] for field in found) if row not in members}
    groups = {field[1:]: schema.decode(group) for field, group in found.items() if field[:1] == b"m"}
    await run_in_chunks(shard.remove_row(row, groups.get(row, "")) for row in unknown)
    await run_in_chunks(
        restore(shard, member, counted=b"u" + row in found, there=groups.get(row, ""), known=known)
        for row, member in members.items()
        if shard.number in (member.user_shard, member.group_shard) or row in groups
    )


async def restore(shard: Shard, member: LocalMember, *, counted: bool, there: str, known: int) -> None:
    """Restore one connection: `counted` is whether its user has it, and `there` its group, according to the shard."""
    if member.user_shard == shard.number and not counted and isinstance(await shard.connect(member, 0), int):
        shard.inbound.close_connections(member.user.user_id)  # banned by a node that did not know of this connection
        return
    group = member.group_in(shard.number)
    if there and not group:
        await shard.leave(member.row, there)
    elif there != group:
        # The other members were told that it left if its node was expired, or if it was moving when the connection to
        # the store was lost. If the store has forgotten the node, or its own last moments, nobody was told of anything.
        announced = known == DEAD or (member.row in shard.unconfirmed and known != FORGOTTEN)
        await shard.move(member, there, group, b"J" if announced else b"")


async def close_banned(shard: Shard) -> None:
    """Close the connections of users who were banned while this node could not be told."""
    banned = {schema.decode(user) for user in await shard.link.run("bans")} if shard.members else set()
    here = {member.user.user_id for member in shard.members.values() if member.user_shard == shard.number}
    for user_id in banned & here:
        shard.inbound.close_connections(user_id)


async def catch_up(shard: Shard) -> None:
    """Deliver what this node's connections have missed."""
    inbound = shard.inbound
    for kind, offsets in (("group", inbound.groups), ("user", inbound.users)):
        await run_in_chunks(inbound.catch_up(kind, name, shard.link.run) for name in list(offsets.received))
