"""All shards of the store: one on a single server, `SHARDS` in a cluster."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from functools import partial
from itertools import count

from hubbub.backends.base import Receiver
from hubbub.backends.valkey import schema, schema_version
from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.changes import Changes
from hubbub.backends.valkey.cluster import SHARDS, Cluster
from hubbub.backends.valkey.connection import RefusedError
from hubbub.backends.valkey.discovery import open_first, open_primary
from hubbub.backends.valkey.heartbeat import Heartbeats, Lease
from hubbub.backends.valkey.inbound import Inbound
from hubbub.backends.valkey.link import Opener
from hubbub.backends.valkey.local_members import LocalMembers
from hubbub.backends.valkey.registration import Registration
from hubbub.backends.valkey.scripts import load_scripts
from hubbub.backends.valkey.shard import Shard
from hubbub.errors import StoreError
from hubbub.groups.feed import FeedWindow
from hubbub.groups.history import Window


class Shards:
    """Makes the shards, connects them, and finds the one that holds a group or a user.

    Args:
        address: Where the store is.
        window: How much is kept.
        members: All connections of this node.
        receivers: The nodes that messages are delivered to; the list may grow.
        feed_window: How much of the feed is kept.

    Attributes:
        registrations: The registration of this node in each shard.
        changes: What has changed of what live queries show.
        only: The shard, if there is just one; posts save two calls with it.
    """

    def __init__(
        self,
        address: Address,
        window: Window,
        members: LocalMembers,
        receivers: list[Receiver],
        feed_window: FeedWindow | None = None,
    ) -> None:
        self.changes = Changes()
        self.registrations: list[Registration] = []
        self._shards: list[Shard] = []
        self.only: Shard | None = None
        self._address = address
        self._window = window
        self._scripts = load_scripts(window, feed_window=feed_window)
        self._members = members
        self._receivers = receivers
        self._node = schema_version.node_id(secrets.token_urlsafe(9), schema_version.CURRENT)
        self._epochs = count(1)
        self._inbound: dict[bytes, Inbound] = {}  # by the prefix of their channels
        self._cluster = Cluster(address, self._receive)
        self._heartbeat_cluster = Cluster(address, _ignore)
        self._heartbeats = Heartbeats(self._heartbeat_cluster.close)

    def __iter__(self) -> Iterator[Shard]:
        """Iterate over the shards, in the order of their numbers."""
        return iter(self._shards)

    def __len__(self) -> int:
        """Return how many shards there are; 0 before the first `start`."""
        return len(self._shards)

    def __getitem__(self, number: int) -> Shard:
        """Return the shard with this number."""
        return self._shards[number]

    def of(self, name: str) -> Shard:
        """Return the shard that holds a group or a user."""
        shards = self._shards
        return shards[schema.shard_of(name, len(shards))]

    @property
    def ready(self) -> bool:
        """Whether every shard answers and has been corrected."""
        return bool(self._shards) and all(shard.link.ready for shard in self._shards)

    async def start(self) -> None:
        """Connect. Raises `CommandError` ``UNAVAILABLE`` if the store cannot be reached."""
        if not self._shards:
            await self._find()
        self._heartbeats.start()
        try:
            await asyncio.gather(*(registration.start() for registration in self.registrations))
        except BaseException:
            await self.abort()
            raise

    async def close(self) -> None:
        """Remove everything of this node from the store, and disconnect."""
        ready = [each for each in self.registrations if each.shard.link.ready]
        # Where this fails, the other nodes notice that the heartbeats have stopped.
        await asyncio.gather(*(registration.resign() for registration in ready), return_exceptions=True)
        await self.abort()

    async def abort(self) -> None:
        """Disconnect without telling the store, as a kill does."""
        await self._heartbeats.stop()
        for shard in self._shards:
            await shard.link.close()
        await self._cluster.close()

    async def _find(self) -> None:
        """Ask the store whether it is a cluster, and make its shards. Raises `CommandError` ``UNAVAILABLE``."""
        try:
            asked = await open_first(self._address, self._receive, primary=False)
        except (OSError, RefusedError) as error:
            raise StoreError(str(error)) from None
        asked.abort("it has answered")
        database = self._address.database
        if not asked.clustered:
            lease = Lease(schema.shard_prefix(database), partial(open_primary, self._address, _ignore), shared=False)
            self._add(0, partial(open_primary, self._address, self._receive), lease, shared=False)
            return
        for number in range(SHARDS):
            prefix = schema.shard_prefix(database, number, SHARDS)
            slot = schema.slot_of(prefix)
            lease = Lease(prefix, partial(self._heartbeat_cluster.open, slot), shared=True)
            self._add(number, partial(self._cluster.open, slot), lease, shared=True)

    def _add(self, number: int, open_connection: Opener, lease: Lease, *, shared: bool) -> None:
        inbound = self._inbound[schema.encode(lease.shard)] = Inbound(lease.shard, self._receivers)
        self._heartbeats.leases.append(lease)
        shard = Shard(
            self._node, number, lease.shard, open_connection, self._members, self._new_epoch, self._scripts, inbound,
            self._window, shared=shared,
        )  # fmt: skip
        self._shards.append(shard)
        self.only = shard if len(self._shards) == 1 else None
        self.registrations.append(Registration(shard, lease, self.changes))

    def _new_epoch(self) -> str:
        return f"{self._node}.{next(self._epochs)}"

    def _receive(self, channel: bytes, payload: bytes | None) -> None:
        """Hand what the store has sent to the shard whose channel it is; a key that was changed has no payload."""
        if payload is None:
            self.changes.invalidate(channel)
        else:
            self._inbound[channel[: channel.index(b"}") + 2]].receive(channel, payload)


def _ignore(channel: bytes, payload: bytes | None) -> None:
    """Ignore messages: the connections for heartbeats have no subscriptions."""
