"""Moves a connection from a group of one shard to a group of another: two scripts instead of one."""

from __future__ import annotations

from typing import Any

from hubbub.backends.valkey.connection import reason_of
from hubbub.backends.valkey.local_members import LocalMember
from hubbub.backends.valkey.offsets import Since
from hubbub.backends.valkey.shard import Shard
from hubbub.errors import CommandError


async def transfer(member: LocalMember, source: Shard, target: Shard, group: str, since: Since, number: int) -> Any:
    """Leave the group in `source`, then join `group` in `target`; return what that replays.

    In this order nobody is ever in two groups. If the second script fails, the connection goes back to its old group,
    whose members are told that it left and joined again. A script whose reply was lost may have run or not: then the
    connection to that shard is lost too, and after reconnecting the shard is corrected from `member`.

    Raises:
        CommandError: ``UNAVAILABLE``; the connection is in its old group, or will be when that shard answers again.
    """
    old = member.group
    assert old is not None
    await source.leave(member.row, old)
    member.clear_group()
    try:
        return await target.move(member, "", group, since=since, number=number, charged=member.user.user_id)
    except BaseException:
        await _go_back(member, source, old)
        raise


async def _go_back(member: LocalMember, source: Shard, old: str) -> None:
    member.set_group(old, source.number)
    try:
        await source.move(member, "", old)
    except CommandError as error:
        # The shard must not stay as it is. On a new connection it is corrected from what this node knows.
        source.link.reset(f"a member could not return to its group: {reason_of(error)}")
