"""The backend on Valkey: each operation is a script or two, and what channels bring goes to the node."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from time import thread_time
from typing import Any, ClassVar

from hubbub.auth.bans import MAX_BANS, TICKET_LIFE, TicketUse, kept_out, ticket_is_dead, too_many_bans
from hubbub.backends.base import Receiver
from hubbub.backends.valkey import envelope, schema
from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.cluster import SHARDS, Cluster
from hubbub.backends.valkey.connection import RefusedError, unavailable
from hubbub.backends.valkey.discovery import open_first, open_primary
from hubbub.backends.valkey.heartbeat import Heartbeats, Lease
from hubbub.backends.valkey.inbound import Inbound, group_replay, user_replay
from hubbub.backends.valkey.link import Opener
from hubbub.backends.valkey.listings import count_shard, find_groups, find_users
from hubbub.backends.valkey.local_members import LocalMember, LocalMembers
from hubbub.backends.valkey.offsets import since as position_of
from hubbub.backends.valkey.scripts import load_scripts
from hubbub.backends.valkey.shard import NO_TICKET, Shard
from hubbub.backends.valkey.transfer import cross
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups import kept_bytes as budgets
from hubbub.groups.directory import MOST_HIDDEN, Query, listing_page
from hubbub.groups.history import Replay, Window
from hubbub.groups.roster import UserQuery, roster_page
from hubbub.limits import require_recipients
from hubbub.messages import Message, Page, Position, Private, Signaled, UserRow


class ValkeyBackend:
    """See `hubbub.backends.base.Backend` for what each method promises.

    Args:
        address: Where the store is.
        window: How much is kept for those who come back; the same for all nodes, as a rule.
    """

    immediate: ClassVar[bool] = False
    shared: ClassVar[bool] = True

    def __init__(self, address: Address, window: Window | None = None) -> None:
        self._window = window or Window()
        self._scripts = load_scripts(self._window)
        self._node = secrets.token_urlsafe(9)
        self._secret = secrets.token_bytes(32)
        self._epochs = count(1)
        self._local_members: LocalMembers = {}
        self._address = address
        self._cluster = Cluster(address, self.hear)
        self._heartbeat_cluster = Cluster(address, _ignore)
        self._heartbeats = Heartbeats(self._heartbeat_cluster.close)
        self._shards: list[Shard] = []
        self._inbound: dict[bytes, Inbound] = {}  # by what their channels begin with
        self._receivers: list[Receiver] = []

    # --- start, stop, state ---

    def attach(self, receiver: Receiver) -> None:
        """Add a node."""
        self._receivers.append(receiver)

    async def start(self) -> None:
        """Connect; a cluster has more shards than a single server."""
        if not self._shards:
            self._shards = await self._find_shards()
        self._heartbeats.start()
        try:
            await asyncio.gather(*(shard.link.start() for shard in self._shards))
        except BaseException:
            await self.abort()
            raise

    async def close(self) -> None:
        """Say goodbye and disconnect."""
        ready = [shard for shard in self._shards if shard.link.ready]
        # If one fails, the others notice.
        await asyncio.gather(*(shard.resign() for shard in ready), return_exceptions=True)
        await self.abort()

    async def abort(self) -> None:
        """Disconnect without a word, as a kill does."""
        await self._heartbeats.stop()
        for shard in self._shards:
            await shard.link.close()
        await self._cluster.close()

    @property
    def ready(self) -> bool:
        """Whether the store answers and agrees with this node."""
        return bool(self._shards) and all(shard.link.ready for shard in self._shards)

    @property
    def notices(self) -> int:
        """How many notices were made from here."""
        return sum(shard.notices for shard in self._shards)

    # --- connections and groups ---

    async def connect(
        self, user: UserRow, most: int, since: Position | None = None, ticket: TicketUse | None = None
    ) -> Replay:
        """Count the connection: bans, numbers and tickets are looked at in the same script."""
        home = self._of(user.user_id)
        home.link.require_ready()
        home.wrong.require_user(user.user_id)
        member = LocalMember(user, home.number)
        found = await home.connect(member, most, position_of(since), ticket or NO_TICKET)
        if isinstance(found, bytes):
            raise ticket_is_dead()
        if isinstance(found, int):
            if found < 0:
                raise kept_out(-found / 1000)
            raise CommandError(ErrorCode.INVALID_REQUEST, f"A user may have at most {most} connections.")
        self._local_members[user.connection_id] = member
        replay = user_replay(found)
        home.inbound.users.listen(user.user_id, replay.position)
        return replay

    async def remove_connection(self, user: UserRow) -> None:
        """Take the connection out. Does not fail: while the store is away, that waits until it is back."""
        member = self._local_members.pop(user.connection_id, None)
        if member is None:
            return
        home = self._shards[member.home]
        home.inbound.users.stop(user.user_id)
        if member.group is not None and member.shard is not None:
            shard = self._shards[member.shard]
            self._left(shard, member.group)
            await shard.remove_connection(member.row, member.group)
        if member.home != member.shard:
            await home.remove_connection(member.row, "")

    async def send_off(self, users: Iterable[UserRow]) -> None:
        """Tell each shard who is expected back in its groups."""
        found = [self._local_members[user.connection_id] for user in users if user.connection_id in self._local_members]
        for shard in self._shards:
            members = [member for member in found if member.shard == shard.number]
            if members:
                shard.link.require_ready()
                await shard.send_off(members, self._window.absence)

    async def shared_secret(self) -> bytes:
        """Put a secret into the store, unless one is there; return what is there then."""
        link, own = self._shards[0].link, self._secret
        self._secret = await link.command(b"SET", self._shards[0].prefix + "secret", own, b"NX", b"GET") or own
        return self._secret

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        """Leave the group before and enter the new one: in one script, if both lie in one shard."""
        member, shard = self._local_members[user.connection_id], self._of(group)
        shard.link.require_ready()
        shard.wrong.require_group(group)
        self._escape(member)
        old, before = member.group, None if member.shard is None else self._shards[member.shard]
        position, number = position_of(since), min(history, self._window.messages)
        shard.expect(group)
        try:
            if before is None or before is shard:
                found = await shard.move(member, old or "", group, since=position, number=number, charged=user.user_id)
            else:
                before.link.require_ready()
                found = await cross(member, before, shard, group, position, number)
        except BaseException:
            shard.release(group)
            raise
        replay = group_replay(found, group)
        shard.inbound.groups.listen(group, replay.position)
        if before is not None and old is not None:
            self._left(before, old)
        member.put(group, shard.number)
        return replay

    async def leave(self, user: UserRow) -> None:
        """Leave the group, if there is one."""
        member = self._local_members[user.connection_id]
        self._escape(member)
        if member.group is None or member.shard is None:
            return
        shard, group = self._shards[member.shard], member.group
        shard.link.require_ready()
        await shard.leave(member.row, group)
        member.put(None, None)
        self._left(shard, group)

    def _escape(self, member: LocalMember) -> None:
        """Let a connection out of a group that the store cannot take it out of, because one of its keys is wrong."""
        if member.group is not None and member.shard is not None:
            shard, group = self._shards[member.shard], member.group
            if group in shard.wrong.groups:
                shard.abandon(member.row, group)
                member.put(None, None)
                self._left(shard, group)

    def _left(self, shard: Shard, group: str) -> None:
        shard.release(group)
        shard.inbound.groups.stop(group)

    # --- messages ---

    async def publish(self, message: Message, key: str | None = None, least: int = 0) -> int:
        """Number the message, keep it and send it to the nodes, in one script."""
        return await self._post("post", message.sender_rid, envelope.pack_message(message), message, key, least)

    async def post_to_user(self, user_id: str, message: Private, key: str | None = None, least: int = 0) -> int:
        """Number the message, keep it and send it to the nodes where the user is, in one script."""
        return await self._post("post_to_user", user_id, envelope.pack_private(user_id, message), message, key, least)

    async def _post(
        self, script: str, to: str, packed: bytes, message: Message | Private, key: str | None, least: int
    ) -> int:
        shard = self._of(to)
        link, wrong = shard.link, shard.wrong
        link.require_ready()
        if script == "post":
            wrong.require_group(to)
        else:
            wrong.require_user(to)
        scope = b"" if key is None else schema.post_key(message.sender, f"{script}:{to}", key)
        charged = "" if message.sender_cid is None else message.sender  # server programs have no budget
        recipients = await link.run(script, schema.encode(to), packed, scope, least, schema.encode(charged))
        if type(recipients) is list:
            raise budgets.refusal(self._window.user, recipients[0] / 1000)
        if recipients < 0:
            require_recipients(least, -1 - recipients)
        return int(recipients)

    async def signal(self, connection_id: str, event: Signaled) -> int:
        """Send the signal to the node where the connection is."""
        return await self._tell_connection(connection_id, b"S" + envelope.pack_signal(connection_id, event))

    async def connected(self, user_id: str) -> bool:
        """Look the user up."""
        return bool(await self._nodes_of(user_id))

    async def disconnect_user(self, user_id: str, for_seconds: float | None = None) -> int:
        """Keep the user out and tell the nodes where the user is, in one script: nobody can slip in between."""
        link = self._of(user_id).link
        link.require_ready()
        span: int | bytes = b"" if for_seconds is None else int(for_seconds * 1000)
        order = envelope.pack_order(user_id, None)
        told: int = await link.run("disconnect", schema.encode(user_id), order, span, MAX_BANS, int(TICKET_LIFE * 1000))
        if told < 0:
            raise too_many_bans()
        return told

    async def disconnect_connection(self, connection_id: str) -> int:
        """Tell the node where the connection is."""
        return await self._tell_connection(connection_id, b"X" + envelope.pack_order(None, connection_id))

    # --- listings ---

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Ask for one row more than the page takes; for as many more as a page may pass over, if some are hidden."""
        rows = await find_groups(self._shards, query, query.limit + 1 + (0 if visible is None else MOST_HIDDEN))
        return listing_page(query, iter(rows), visible, thread_time)

    async def users(self, group: str, query: UserQuery) -> Page:
        """Ask for one row more than the page takes."""
        shard = self._of(group)
        shard.link.require_ready()
        if query.finished:
            return Page([], "end", True)
        found = await find_users(shard, group, query)
        return roster_page(found[: query.limit], more=len(found) > query.limit)

    async def count(self) -> tuple[int, int]:
        """Ask for the sizes."""
        sizes = await asyncio.gather(*(count_shard(shard) for shard in self._shards))
        return sum(groups for groups, _ in sizes), sum(connections for _, connections in sizes)

    # --- inside ---

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Hand over what the store has sent to where its shard is heard."""
        self._inbound[channel[: channel.index(b"}") + 2]].hear(channel, payload)

    async def _find_shards(self) -> list[Shard]:
        """Ask the store what it is. Raises `CommandError` ``UNAVAILABLE``."""
        try:
            asked = await open_first(self._address, self.hear, primary=False)
        except (OSError, RefusedError) as error:
            raise unavailable(str(error)) from None
        asked.abort("it has answered")
        if not asked.clustered:
            find = partial(open_primary, self._address, self.hear)
            lease = Lease(
                schema.shard_prefix(self._address.database),
                partial(open_primary, self._address, _ignore),
                shared=False,
            )
            return [self._shard(0, find, lease, shared=False)]
        prefixes = [schema.shard_prefix(self._address.database, number, SHARDS) for number in range(SHARDS)]
        return [
            self._shard(
                number,
                partial(self._cluster.open, slot),
                Lease(prefix, partial(self._heartbeat_cluster.open, slot), shared=True),
                shared=True,
            )
            for number, prefix, slot in ((n, prefix, schema.slot_of(prefix)) for n, prefix in enumerate(prefixes))
        ]

    def _shard(self, number: int, find: Opener, lease: Lease, *, shared: bool) -> Shard:
        inbound = self._inbound[schema.encode(lease.shard)] = Inbound(self._receivers)
        self._heartbeats.leases.append(lease)
        return Shard(
            self._node, number, lease.shard, find, self._local_members, self._epoch, self._scripts, inbound, lease,
            self._window, shared=shared,
        )  # fmt: skip

    def _of(self, name: str) -> Shard:
        """Return the shard of a group or a user."""
        return self._shards[schema.shard_of(name, len(self._shards))]

    def _epoch(self) -> str:
        return f"{self._node}.{next(self._epochs)}"

    async def _nodes_of(self, user_id: str) -> Counter[bytes]:
        """Return the nodes where the user is, with the number of connections there."""
        shard = self._of(user_id)
        shard.link.require_ready()
        return Counter(await shard.link.command(b"HVALS", schema.encode(f"{shard.prefix}u:{user_id}")))

    async def _tell_connection(self, connection_id: str, payload: bytes) -> int:
        """Ask all shards, for the id does not say which user it is of."""
        for shard in self._shards:
            shard.link.require_ready()
        nodes = await asyncio.gather(
            *(shard.link.command(b"HGET", shard.prefix + "w", connection_id) for shard in self._shards)
        )
        told = (
            self._tell(shard, Counter([node]), payload) for shard, node in zip(self._shards, nodes, strict=True) if node
        )
        return sum([await each for each in told])

    async def _tell(self, shard: Shard, nodes: Counter[bytes], payload: bytes) -> int:
        """Send `payload` to each of `nodes`; return how many connections those have that heard it."""
        told = 0
        for node, connections in nodes.items():
            heard: Any = await shard.link.command(
                b"SPUBLISH", schema.node_channel(shard.prefix, node.decode()), payload
            )
            told += connections if heard else 0
        return told


def _ignore(channel: bytes, payload: bytes) -> None:
    """Hear nothing: the connections for heartbeats have no subscriptions."""
