"""What a program can do on the store without being a node: post, list, disconnect. See `hubbub.services.Store`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import thread_time

from hubbub.auth.bans import MAX_BANS, TICKET_LIFE, too_many_bans
from hubbub.backends.valkey import envelope, schema
from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.cluster import SHARDS, Cluster
from hubbub.backends.valkey.connection import RefusedError
from hubbub.backends.valkey.discovery import open_first, open_primary
from hubbub.backends.valkey.listings import find_groups, find_users
from hubbub.backends.valkey.visitor import VisitedShard, VisitorLink, open_failure
from hubbub.groups.directory import MOST_HIDDEN, Query, listing_page
from hubbub.groups.roster import UserQuery, roster_page
from hubbub.limits import require_recipients
from hubbub.messages import Message, Page, Private


class StoreVisit:
    """The operations, in one event loop. Each raises `CommandError` ``UNAVAILABLE`` if the store does not answer.

    Args:
        address: Where the store is.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._cluster = Cluster(address, _ignore)
        self._found: list[VisitedShard] = []

    async def close(self) -> None:
        """Disconnect."""
        for shard in self._found:
            shard.link.close()
        await self._cluster.close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    # --- operations ---

    async def publish(
        self, message: Message, key: str | None = None, least: int = 0, *, keep: bool = True, echo: bool = True
    ) -> int:
        """Post to a group, in one script. There is no connection that `echo` could be about."""
        script, packed = "post" if keep else "unkept", envelope.pack_message(message)
        return await self._post(script, message.sender_rid, packed, message, key, least)

    async def post_to_user(
        self,
        user_id: str,
        message: Private,
        key: str | None = None,
        least: int = 0,
        *,
        keep: bool = True,
        echo: bool = True,
    ) -> int:
        """Post to a user, in one script; `echo` is as in `publish`."""
        script, packed = "post_to_user" if keep else "unkept_to_user", envelope.pack_private(user_id, message)
        return await self._post(script, user_id, packed, message, key, least)

    async def _post(
        self, script: str, to: str, packed: bytes, message: Message | Private, key: str | None, least: int
    ) -> int:
        shard = await self._shard_of(to)
        scope = b"" if key is None else schema.post_key(message.sender, f"{script}:{to}", key)
        recipients: int = await shard.link.run(script, schema.encode(to), packed, scope, least, b"", 0)
        if recipients < 0:
            require_recipients(least, -1 - recipients)
        return recipients

    async def disconnect_user(self, user_id: str, for_seconds: float | None = None) -> int:
        """Ban the user and tell the nodes to disconnect it, in one script."""
        shard = await self._shard_of(user_id)
        duration: int | bytes = b"" if for_seconds is None else int(for_seconds * 1000)
        order = envelope.pack_order(user_id, None)
        told: int = await shard.link.run(
            "disconnect", schema.encode(user_id), order, duration, MAX_BANS, int(TICKET_LIFE * 1000)
        )
        if told < 0:
            raise too_many_bans()
        return told

    async def disconnect_connection(self, connection_id: str) -> int:
        """Tell the node where the connection is; the id does not tell which shard knows that."""
        shards = await self._shards()
        nodes = await asyncio.gather(
            *(shard.link.command(b"HGET", shard.prefix + "w", connection_id) for shard in shards)
        )
        payload = b"X" + envelope.pack_order(None, connection_id)
        told = 0
        for shard, node in zip(shards, nodes, strict=True):
            if node:
                channel = schema.node_channel(shard.prefix, node.decode())
                told += bool(await shard.link.command(b"SPUBLISH", channel, payload))
        return min(1, told)

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Return one page of the directory, from all shards."""
        most = query.limit + 1 + (0 if visible is None else MOST_HIDDEN)
        rows = await find_groups(await self._shards(), query, most)
        return listing_page(query, iter(rows), visible, thread_time)

    async def users(self, group: str, query: UserQuery) -> Page:
        """Return one page of the connections in a group."""
        if query.finished:
            return Page([], "end", True)
        found = await find_users(await self._shard_of(group), group, query)
        return roster_page(found[: query.limit], more=len(found) > query.limit)

    # --- shards ---

    async def _shard_of(self, name: str) -> VisitedShard:
        shards = await self._shards()
        return shards[schema.shard_of(name, len(shards))]

    async def _shards(self) -> list[VisitedShard]:
        """Return all shards; the first call asks the store whether it is a cluster."""
        if not self._found:
            try:
                asked = await open_first(self._address, _ignore, primary=False)
            except (OSError, RefusedError) as error:
                raise open_failure(error) from None
            asked.abort("it has answered")
            if not self._found:  # another call may have been faster
                self._found = self._cluster_shards() if asked.clustered else [self._only_shard()]
        return self._found

    def _only_shard(self) -> VisitedShard:
        prefix = schema.shard_prefix(self._address.database)
        return VisitedShard(prefix, VisitorLink(partial(open_primary, self._address, _ignore), prefix, shared=False))

    def _cluster_shards(self) -> list[VisitedShard]:
        prefixes = [schema.shard_prefix(self._address.database, number, SHARDS) for number in range(SHARDS)]
        return [
            VisitedShard(prefix, VisitorLink(partial(self._cluster.open, schema.slot_of(prefix)), prefix, shared=True))
            for prefix in prefixes
        ]


def _ignore(channel: bytes, payload: bytes | None) -> None:
    """Ignore messages: a visitor has no subscriptions."""
