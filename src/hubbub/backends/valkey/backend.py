"""The backend on Valkey: each operation is one script or two, and what the channels bring is delivered to the node."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from time import thread_time
from typing import Any, ClassVar

from hubbub.auth.bans import MAX_BANS, TICKET_LIFE, TicketUse, kept_out, ticket_is_dead, too_many_bans
from hubbub.auth.guest_keys import name_in_use
from hubbub.backends.base import Receiver
from hubbub.backends.valkey import envelope, schema
from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.feed import ValkeyFeed
from hubbub.backends.valkey.inbound import group_replay, user_replay
from hubbub.backends.valkey.listening import Listening
from hubbub.backends.valkey.listings import count_shard, find_groups, find_users
from hubbub.backends.valkey.local_members import LocalMember, LocalMembers
from hubbub.backends.valkey.offsets import script_position
from hubbub.backends.valkey.shard import NO_TICKET, Shard
from hubbub.backends.valkey.shards import Shards
from hubbub.backends.valkey.transfer import transfer
from hubbub.backends.valkey.views import StoredViews
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups import kept_bytes
from hubbub.groups.absences import ONLINE
from hubbub.groups.directory import MOST_HIDDEN, Query, listing_page
from hubbub.groups.feed import FeedWindow
from hubbub.groups.history import Replay, Window
from hubbub.groups.roster import UserQuery, roster_page
from hubbub.groups.view_query import ViewPage, ViewQuery
from hubbub.limits import too_few
from hubbub.messages import Message, Page, Position, Private, Signaled, UserRow

_UNKEPT = {"post": "unkept", "post_to_user": "unkept_to_user"}


class ValkeyBackend:
    """See `hubbub.backends.base.Backend` for what each method promises.

    Args:
        address: Where the store is.
        window: How much is kept for clients that reconnect. All nodes should have the same.
        feed_window: How much of the feed is kept.

    Attributes:
        feed: See `hubbub.backends.base.Backend.feed`.
    """

    immediate: ClassVar[bool] = False
    shared: ClassVar[bool] = True

    def __init__(self, address: Address, window: Window | None = None, feed_window: FeedWindow | None = None) -> None:
        self._window = window or Window()
        self._secret = secrets.token_bytes(32)
        self._local_members: LocalMembers = {}
        self._receivers: list[Receiver] = []
        self._shards = Shards(address, self._window, self._local_members, self._receivers, feed_window)
        self._views = StoredViews(self._shards)
        self.feed = ValkeyFeed(self._shards, feed_window or FeedWindow())
        self._listening = Listening(self._shards, self._window.age)

    # --- start, stop, state ---

    def attach(self, receiver: Receiver) -> None:
        """Add a node."""
        self._receivers.append(receiver)

    async def start(self) -> None:
        """Connect to the store."""
        await self._shards.start()

    async def close(self) -> None:
        """Remove everything of this node from the store, and disconnect."""
        await self._listening.close()
        await self._shards.close()

    async def abort(self) -> None:
        """Disconnect without telling the store, as a kill does."""
        await self._listening.close()
        await self._shards.abort()

    @property
    def ready(self) -> bool:
        """Whether the store answers and has been corrected from what this node knows."""
        return self._shards.ready

    @property
    def notices(self) -> int:
        """How many notices this node has caused."""
        return sum(shard.notices for shard in self._shards)

    # --- connections and groups ---

    async def connect(
        self,
        user: UserRow,
        most: int,
        since: Position | None = None,
        ticket: TicketUse | None = None,
        guest_key: bytes | None = None,
    ) -> Replay:
        """Count the connection; the same script checks bans, number of connections, ticket and guest key."""
        shard = self._shards.of(user.user_id)
        shard.link.require_ready()
        shard.wrong.require_user(user.user_id)
        member = LocalMember(user, shard.number, guest_key or b"")
        found = await shard.connect(member, most, script_position(since), ticket or NO_TICKET)
        if isinstance(found, bytes):
            raise name_in_use(user.user_id) if found == b"G" else ticket_is_dead()
        if isinstance(found, int):
            if found < 0:
                raise kept_out(-found / 1000)
            raise CommandError(ErrorCode.INVALID_REQUEST, f"A user may have at most {most} connections.")
        self._local_members[user.connection_id] = member
        replay = user_replay(found)
        shard.inbound.users.add(user.user_id)
        shard.inbound.users.start_at(user.user_id, replay.position)
        return replay

    async def remove_connection(self, user: UserRow) -> None:
        """Remove the connection. Never raises: while the store is away, the removal waits until it is back."""
        member = self._local_members.pop(user.connection_id, None)
        if member is None:
            return
        user_shard = self._shards[member.user_shard]
        user_shard.inbound.users.remove(user.user_id)
        if member.group is not None and member.group_shard is not None:
            shard = self._shards[member.group_shard]
            shard.unsubscribe(member.group)
            await shard.remove_connection(member.row, member.group)
        if member.user_shard != member.group_shard:
            await user_shard.remove_connection(member.row, "")

    async def send_off(self, users: Iterable[UserRow]) -> None:
        """Tell each shard which members of its groups, and which of its users, are expected back."""
        found = [self._local_members[user.connection_id] for user in users if user.connection_id in self._local_members]
        for shard in self._shards:
            members = [(member.row, member.group or "") for member in found if member.group_shard == shard.number]
            members += [(member.row, ONLINE) for member in found if member.user_shard == shard.number]
            if members:
                shard.link.require_ready()
                await shard.send_off(members, self._window.restart_grace)

    async def shared_secret(self) -> bytes:
        """Store a secret unless there is one; return the stored one."""
        shard, own = self._shards[0], self._secret
        self._secret = await shard.link.command(b"SET", shard.prefix + "secret", own, b"NX", b"GET") or own
        return self._secret

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        """Leave the old group and join the new one: in one script, if one shard holds both."""
        member, shard = self._local_members[user.connection_id], self._shards.of(group)
        shard.link.require_ready()
        shard.wrong.require_group(group)
        self._abandon_wrong_group(member)
        old, source = member.group, None if member.group_shard is None else self._shards[member.group_shard]
        position, number = script_position(since), min(history, self._window.messages)
        shard.subscribe(group)
        try:
            if source is None or source is shard:
                found = await shard.move(member, old or "", group, since=position, number=number, charged=user.user_id)
            else:
                source.link.require_ready()
                found = await transfer(member, source, shard, group, position, number)
        except BaseException:
            shard.unsubscribe(group)
            raise
        replay = group_replay(found, group)
        shard.joined(group, replay.position)
        if source is not None and old is not None:
            source.unsubscribe(old)
        member.set_group(group, shard.number)
        return replay

    async def leave(self, user: UserRow) -> None:
        """Leave the group, if there is one."""
        member = self._local_members[user.connection_id]
        self._abandon_wrong_group(member)
        if member.group is None or member.group_shard is None:
            return
        shard, group = self._shards[member.group_shard], member.group
        shard.link.require_ready()
        await shard.leave(member.row, group)
        member.clear_group()
        shard.unsubscribe(group)

    def _abandon_wrong_group(self, member: LocalMember) -> None:
        """If a key of the member's group has the wrong type, let it leave now; the repair updates the store later."""
        if member.group is not None and member.group_shard is not None:
            shard, group = self._shards[member.group_shard], member.group
            if group in shard.wrong.groups:
                shard.abandon(member.row, group)
                member.clear_group()
                shard.unsubscribe(group)

    # --- messages ---

    async def publish(
        self, message: Message, key: str | None = None, least: int = 0, *, keep: bool = True, echo: bool = True
    ) -> int:
        """Do what `publish_soon` does, and wait for the result."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done, group = partial(_settle, future), message.sender_rid
        if keep and echo:
            self.publish_soon(message, done, key, least)
            return await future
        shard = self._shards.of(group)
        shard.link.require_ready()
        shard.wrong.require_group(group)
        member = self._local_members.get(message.sender_cid or "")
        own = not echo and member is not None and member.group == group
        packed = _packed(envelope.pack_message(message), echo=echo)
        self._post_alone(shard, "post", group, packed, message, done, key, least, keep=keep, own=own)
        return await future

    def publish_soon(
        self, message: Message, done: Callable[[int | CommandError], object], key: str | None = None, least: int = 0
    ) -> None:
        """Number the message, keep it, deliver it here and publish it to the nodes; most posts share a script call."""
        group = message.sender_rid
        shard = self._shards.only or self._shards.of(group)
        if not shard.link.ready:
            shard.link.require_ready()
        if shard.wrong.groups:
            shard.wrong.require_group(group)
        if key is None and not least:
            shard.posts.add(message, done)
        else:
            packed = envelope.pack_message(message)
            self._post_alone(shard, "post", group, packed, message, done, key, least)

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
        """Number the message, keep it and send it to the nodes where the user is connected, in one script."""
        shard = self._shards.of(user_id)
        shard.link.require_ready()
        shard.wrong.require_user(user_id)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        packed, done = _packed(envelope.pack_private(user_id, message), echo=echo), partial(_settle, future)
        own = not echo and message.sender == user_id and message.sender_cid in self._local_members
        self._post_alone(shard, "post_to_user", user_id, packed, message, done, key, least, keep=keep, own=own)
        return await future

    def _post_alone(
        self,
        shard: Shard,
        script: str,
        to: str,
        packed: bytes,
        message: Message | Private,
        done: Callable[[int | CommandError], object],
        key: str | None,
        least: int,
        *,
        keep: bool = True,
        own: bool = False,
    ) -> None:
        scope = b"" if key is None else schema.post_key(message.sender, f"{script}:{to}", key)
        charged = "" if message.sender_cid is None else message.sender  # server programs have no budget

        def finish(reply: Any) -> None:
            if type(reply) is list:
                reply = kept_bytes.refusal(self._window.user, reply[0] / 1000)
            elif type(reply) is int and reply < 0:
                reply = too_few(least, -1 - reply)
            done(reply)

        if not keep:
            script = _UNKEPT[script]
        shard.link.run_soon(finish, script, schema.encode(to), packed, scope, least, schema.encode(charged), int(own))

    async def find_post(
        self, sender: str, key: str, *, group: str | None = None, user_id: str | None = None
    ) -> int | None:
        """Read the key that the script of the post has set."""
        script, to = ("post_to_user", user_id or "") if group is None else ("post", group)
        shard = self._shards.of(to)
        shard.link.require_ready()
        scope = schema.encode(f"{shard.prefix}k:") + schema.post_key(sender, f"{script}:{to}", key)
        found = await shard.link.command(b"GET", scope)
        return None if found is None else int(found)

    async def listen(
        self, group: str, since: Position | None = None, history: int = 0, charged: str | None = None
    ) -> Replay:
        """Subscribe to the group, and keep it."""
        number = min(history, self._window.messages)
        return await self._listening.begin(group, script_position(since), number, charged or "")

    async def unlisten(self, group: str) -> None:
        """Undo one `listen`."""
        self._listening.end(group)

    async def signal(self, connection_id: str, event: Signaled) -> int:
        """Send the signal to the node where the connection is."""
        return await self._tell_connection(connection_id, b"S" + envelope.pack_signal(connection_id, event))

    async def connected(self, user_id: str) -> bool:
        """Look the user up."""
        return bool(await self._nodes_of(user_id))

    async def disconnect_user(self, user_id: str, for_seconds: float | None = None) -> int:
        """Ban the user and tell the nodes to disconnect it, in one script, so no connection is made in between."""
        link = self._shards.of(user_id).link
        link.require_ready()
        duration: int | bytes = b"" if for_seconds is None else int(for_seconds * 1000)
        order = envelope.pack_order(user_id, None)
        told: int = await link.run(
            "disconnect", schema.encode(user_id), order, duration, MAX_BANS, int(TICKET_LIFE * 1000)
        )
        if told < 0:
            raise too_many_bans()
        return told

    async def disconnect_connection(self, connection_id: str) -> int:
        """Tell the node where the connection is."""
        return await self._tell_connection(connection_id, b"X" + envelope.pack_order(None, connection_id))

    # --- listings ---

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Ask for one row more than the page takes, plus as many as it may pass over if some groups are hidden."""
        rows = await find_groups(self._shards, query, query.limit + 1 + (0 if visible is None else MOST_HIDDEN))
        return listing_page(query, iter(rows), visible, thread_time)

    async def users(self, group: str, query: UserQuery) -> Page:
        """Ask for one row more than the page takes, to know whether it is the last page."""
        shard = self._shards.of(group)
        shard.link.require_ready()
        if query.finished:
            return Page([], "end", True)
        found = await find_users(shard, group, query)
        return roster_page(found[: query.limit], more=len(found) > query.limit)

    @property
    def revision(self) -> int:
        """How often the store has said that something changed which a view has read."""
        return self._shards.changes.revision

    @property
    def restarts(self) -> int:
        """How often a connection to the store was made."""
        return self._shards.changes.restarts

    def revision_of(self, query: ViewQuery) -> int:
        """Look up what the store has said."""
        return self._shards.changes.of(query)

    async def view(self, query: ViewQuery, visible: Callable[[str], bool] | None = None) -> ViewPage:
        """Read the page and the count in one script, or in one for each shard."""
        return await self._views.read(query, visible)

    async def count(self) -> tuple[int, int]:
        """Add the counts of all shards."""
        sizes = await asyncio.gather(*(count_shard(shard) for shard in self._shards))
        return sum(groups for groups, _ in sizes), sum(connections for _, connections in sizes)

    # --- inside ---

    async def _nodes_of(self, user_id: str) -> Counter[bytes]:
        """Return the nodes where the user is connected, with the number of connections on each."""
        shard = self._shards.of(user_id)
        shard.link.require_ready()
        return Counter(await shard.link.command(b"HVALS", schema.encode(f"{shard.prefix}u:{user_id}")))

    async def _tell_connection(self, connection_id: str, payload: bytes) -> int:
        """Ask all shards: the id does not tell which user the connection belongs to."""
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
        """Send `payload` to each of `nodes`; return how many connections there are on the nodes that received it."""
        told = 0
        for node, connections in nodes.items():
            received: Any = await shard.link.command(
                b"SPUBLISH", schema.node_channel(shard.prefix, node.decode()), payload
            )
            told += connections if received else 0
        return told


def _packed(packed: bytes, *, echo: bool) -> bytes:
    return packed if echo else envelope.without_echo(packed)


def _settle(future: asyncio.Future[int], result: int | CommandError) -> None:
    if future.done():  # whoever waited has gone
        return
    if isinstance(result, CommandError):
        future.set_exception(result)
    else:
        future.set_result(result)
