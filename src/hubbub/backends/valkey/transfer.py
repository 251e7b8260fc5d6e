"""A connection that changes from a group of one bucket to a group of another: two scripts instead of one."""

from __future__ import annotations

from typing import Any

from hubbub.backends.valkey.local_members import Place
from hubbub.backends.valkey.offsets import Since
from hubbub.backends.valkey.shard import Shard
from hubbub.errors import CommandError


async def cross(place: Place, before: Shard, bucket: Shard, group: str, since: Since, number: int) -> Any:
    """Leave the group in `before`, then enter `group` in `bucket`; return what it has replayed.

    In this order nobody is ever in two groups. If the second script fails, the connection goes back to where it was;
    the group that it had left hears of both. Whether the first or the second was done without an answer does not
    matter: then the connection to that bucket is lost, and the bucket is put right by what `place` says.

    Raises:
        CommandError: ``UNAVAILABLE``; the connection is where it was before, or will be when that bucket is back.
    """
    old = place.group
    assert old is not None
    await before.leave(place.row, old)
    place.put(None, None)
    try:
        return await bucket.move(place, "", group, since=since, number=number, charged=place.user.user_id)
    except BaseException:
        await _go_back(place, before, old)
        raise


async def _go_back(place: Place, before: Shard, old: str) -> None:
    place.put(old, before.number)
    try:
        await before.move(place, "", old)
    except CommandError as error:
        # The bucket must not stay as it is: with a new connection it is compared with what we know.
        before.link.reset(f"a member could not return: {error.message}")
