"""Listings over all shards: each returns a part of the page, and the parts are merged in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from heapq import merge
from typing import Any, Protocol

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.connection import Argument
from hubbub.backends.valkey.ranges import group_ranges, group_rows, user_range, user_rows
from hubbub.groups.query import Query
from hubbub.groups.roster import UserQuery
from hubbub.messages import GroupRow, UserRow


class ShardLink(Protocol):
    """The connection to a shard, of a node or of another program."""

    def require_ready(self) -> None:
        """See `hubbub.backends.valkey.link.Link`."""
        ...

    async def run(self, script: str, *arguments: Argument) -> Any:
        """See `hubbub.backends.valkey.link.Link`."""
        ...

    async def command(self, *arguments: Argument) -> Any:
        """See `hubbub.backends.valkey.link.Link`."""
        ...


class ListedShard(Protocol):
    """What a listing needs of a shard: what its keys begin with, and the connection to it."""

    prefix: str

    @property
    def link(self) -> ShardLink:
        """The connection."""
        ...


class ListedShards(Protocol):
    """All shards, in the order of their numbers."""

    def __iter__(self) -> Iterator[ListedShard]:
        """Iterate over them."""
        ...

    def __len__(self) -> int:
        """Return how many there are."""
        ...


async def find_groups(shards: ListedShards, query: Query, most: int) -> list[GroupRow]:
    """Return the first `most` groups of `query`, in its order. Raises `CommandError` ``UNAVAILABLE``."""
    for shard in shards:
        shard.link.require_ready()
    bounds = group_ranges(query)
    if not bounds:
        return []
    direction = int(not query.ascending)

    async def ask(number: int) -> list[list[GroupRow]]:
        run = (shard.link.run("page", order_of(query), number, direction, *bounds) for shard in shards)
        return [group_rows(reply) for reply in await asyncio.gather(*run)]

    return await merge_pages(query, most, len(shards), ask)


async def merge_pages(
    query: Query, most: int, shards: int, ask: Callable[[int], Coroutine[Any, Any, list[list[GroupRow]]]]
) -> list[GroupRow]:
    """Return the first `most` groups of all shards, of which `ask` returns the first few of each.

    Groups are spread evenly, so each shard is first asked for little more than its share of the page. Only if that is
    not enough are all asked for a whole page.
    """
    share = most if shards == 1 else min(most, 2 * most // shards + 8)
    for number in (share, most):
        pieces = await ask(number)
        # Rows beyond the last row of a shard that has more are not certain: others may come before them.
        unfinished = [piece[-1] for piece in pieces if len(piece) == number]
        rows = list(_merged(query, pieces))
        known = min((rows.index(row) + 1 for row in unfinished), default=len(rows))
        if known >= most or not unfinished or number == most:
            return rows[:most]
    raise AssertionError("the second round asks for everything")


def order_of(query: Query) -> str:
    """Return the key, behind the prefix, of the order in which `query` lists."""
    return "names" if query.order == "group" else "sizes"


def _merged(query: Query, pieces: list[list[GroupRow]]) -> Iterable[GroupRow]:
    if len(pieces) == 1:
        return pieces[0]
    if query.order == "group":
        return merge(*pieces, key=lambda row: row.group, reverse=not query.ascending)
    return merge(*pieces, key=lambda row: (row.number_of_users, row.group), reverse=not query.ascending)


async def find_users(shard: ListedShard, group: str, query: UserQuery) -> list[UserRow]:
    """Return the members of `group` that `query` asks for, and the next one, if there is one."""
    direction = [] if query.ascending else [b"REV"]
    key = schema.encode(f"{shard.prefix}m:{group}")
    return user_rows(
        await shard.link.command(b"ZRANGE", key, *user_range(query), b"BYLEX", *direction, b"LIMIT", 0, query.limit + 1)
    )


async def count_shard(shard: ListedShard) -> tuple[int, int]:
    """Return how many groups and how many connections the shard holds."""
    shard.link.require_ready()
    groups, connections = await asyncio.gather(
        shard.link.command(b"ZCARD", shard.prefix + "names"), shard.link.command(b"HLEN", shard.prefix + "w")
    )
    return groups, connections
