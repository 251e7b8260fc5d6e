"""A connection that changes from a group of one shard to a group of another: two scripts instead of one."""

from __future__ import annotations

from typing import Any

from hubbub.backends.valkey.local_members import LocalMember
from hubbub.backends.valkey.offsets import Since
from hubbub.backends.valkey.shard import Shard
from hubbub.errors import CommandError


async def cross(member: LocalMember, before: Shard, shard: Shard, group: str, since: Since, number: int) -> Any:
    """Leave the group in `before`, then enter `group` in `shard`; return what it has replayed.

    In this order nobody is ever in two groups. If the second script fails, the connection goes back to where it was;
    the group that it had left hears of both. Whether the first or the second was done without an answer does not
    matter: then the connection to that shard is lost, and the shard is put right by what `place` says.

    Raises:
        CommandError: ``UNAVAILABLE``; the connection is where it was before, or will be when that shard is back.
    """
    old = member.group
    assert old is not None
    await before.leave(member.row, old)
    member.put(None, None)
    try:
        return await shard.move(member, "", group, since=since, number=number, charged=member.user.user_id)
    except BaseException:
        await _go_back(member, before, old)
        raise


async def _go_back(member: LocalMember, before: Shard, old: str) -> None:
    member.put(old, before.number)
    try:
        await before.move(member, "", old)
    except CommandError as error:
        # The shard must not stay as it is: with a new connection it is compared with what we know.
        before.link.reset(f"a member could not return: {error.message}")
