"""The backend on Valkey: each operation is a script or two, and what channels bring goes to the node."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from typing import Any, ClassVar

import msgspec

from hubbub.backends.base import Receiver
from hubbub.backends.valkey import keys
from hubbub.backends.valkey.address import Address
from hubbub.backends.valkey.link import Link
from hubbub.backends.valkey.listing import group_ranges, group_rows, user_range, user_rows
from hubbub.backends.valkey.presence import Place, Presence, in_chunks
from hubbub.backends.valkey.scripts import load_scripts
from hubbub.backends.valkey.streams import Streams, replay_of
from hubbub.backends.valkey.streams import since as position_of
from hubbub.directory import MOST_HIDDEN, Query, listing_page
from hubbub.errors import CommandError, ErrorCode
from hubbub.history import Replay, Window
from hubbub.limits import require_recipients
from hubbub.messages import Event, Gap, Message, NoticeCode, Page, Position, Private, Signaled, UserRow, notice
from hubbub.roster import UserQuery, roster_page

_CODES: dict[bytes, NoticeCode] = {b"J": "USER_JOINED", b"L": "USER_LEFT", b"D": "USER_DISCONNECTED"}

_encode = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(Message).decode
_private = msgspec.json.Decoder(tuple[str, Private]).decode
_signal = msgspec.json.Decoder(tuple[str, Signaled]).decode
_order = msgspec.json.Decoder(tuple[str | None, str | None]).decode


def _private_of(entry: bytes) -> Private:
    return _private(entry)[1]


class ValkeyBackend:
    """See `hubbub.backends.base.Backend` for what each method promises.

    Args:
        address: Where the store is.
        window: How much is kept for those who come back; the same for all nodes, as a rule.
    """

    immediate: ClassVar[bool] = False

    def __init__(self, address: Address, window: Window | None = None) -> None:
        self._window = window or Window()
        self._bucket = keys.bucket_prefix(address.database)
        self._node = secrets.token_urlsafe(9)
        self._epochs = count(1)
        self._link = Link(address, self._bucket, load_scripts(self._window), self)
        self._presence = Presence(self._node, self._bucket, self._link, self._epoch)
        self._own_channel = keys.node_channel(self._node)
        self._channel_prefix = len(keys.group_channel(self._bucket, ""))
        self._receivers: list[Receiver] = []
        self._streams = {"group": Streams(), "user": Streams()}
        self._held: list[tuple[bytes, bytes]] | None = None  # what came while we make the store agree

    # --- start, stop, state ---

    def attach(self, receiver: Receiver) -> None:
        """Add a node."""
        self._receivers.append(receiver)

    async def start(self) -> None:
        """Connect."""
        await self._link.start()

    async def close(self) -> None:
        """Say goodbye and disconnect."""
        if self._link.ready:
            with suppress(CommandError):  # else the others notice
                await self._presence.resign()
        await self._link.close()

    @property
    def ready(self) -> bool:
        """Whether the store answers and agrees with this node."""
        return self._link.ready

    @property
    def notices(self) -> int:
        """How many notices were made from here."""
        return self._presence.notices

    async def revive(self) -> None:
        """Make the store agree (`link.Owner`)."""
        self._held = []
        await self._presence.revive()
        await self._catch_up()
        held, self._held = self._held, None
        for channel, payload in held:
            self.hear(channel, payload)

    async def beat(self) -> None:
        """Give a sign of life (`link.Owner`)."""
        await self._presence.beat()

    # --- connections and groups ---

    async def connect(self, user: UserRow, most: int, since: Position | None = None) -> Replay:
        """Count the connection."""
        self._link.require_ready()
        place = Place(user)
        found = await self._presence.enter(place, most, position_of(since))
        if not found:
            raise CommandError(ErrorCode.INVALID_REQUEST, f"A user may have at most {most} connections.")
        self._presence.places[user.connection_id] = place
        replay = replay_of(found, _private_of)
        self._streams["user"].listen(user.user_id, replay.position)
        return replay

    async def disconnect(self, user: UserRow) -> None:
        """Take the connection out. Does not fail: while the store is away, that waits until it is back."""
        place = self._presence.forget(user.connection_id)
        if place is not None:
            self._streams["user"].stop(user.user_id)
            self._streams["group"].stop(place.group)
        if place is not None and self._link.ready:
            with suppress(CommandError):  # else the next connection to the store begins with putting this right
                await self._presence.exit(place.row, keys.encode(place.group or ""))

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        """Leave the group before and enter the new one, in one script."""
        self._link.require_ready()
        place, presence = self._presence.places[user.connection_id], self._presence
        presence.expect(group)
        try:
            found = await presence.move(place, group, position_of(since), min(history, self._window.messages))
        except BaseException:
            presence.release(group)
            raise
        replay = replay_of(found, _message)
        self._streams["group"].listen(group, replay.position)
        self._left(place)
        place.group = group
        return replay

    async def leave(self, user: UserRow) -> None:
        """Leave the group, if there is one."""
        place = self._presence.places[user.connection_id]
        if place.group is not None:
            self._link.require_ready()
            await self._presence.move(place, None)
            self._left(place)
            place.group = None

    def _left(self, place: Place) -> None:
        self._presence.release(place.group)
        self._streams["group"].stop(place.group)

    # --- messages ---

    async def publish(self, message: Message, key: str | None = None, least: int = 0) -> int:
        """Number the message, keep it and send it to the nodes, in one script."""
        group = keys.encode(message.sender_rid)
        return await self._post("post", group, _encode(message), message.sender, key, least)

    async def whisper(self, user_id: str, message: Private, key: str | None = None, least: int = 0) -> int:
        """Number the message, keep it and send it to the nodes where the user is, in one script."""
        return await self._post(
            "whisper", keys.encode(user_id), _encode((user_id, message)), message.sender, key, least
        )

    async def _post(self, script: str, to: bytes, message: bytes, sender: str, key: str | None, least: int) -> int:
        self._link.require_ready()
        scope = b"" if key is None else keys.post_key(sender, f"{script}:{keys.decode(to)}", key)
        recipients: int = await self._link.run(script, to, message, scope, least)
        if recipients < 0:
            require_recipients(least, -1 - recipients)
        return recipients

    async def signal(self, connection_id: str, event: Signaled) -> int:
        """Send the signal to the node where the connection is."""
        return await self._tell(await self._node_of(connection_id), b"S" + _encode((connection_id, event)))

    async def connected(self, user_id: str) -> bool:
        """Look the user up."""
        return bool(await self._nodes_of_user(user_id))

    async def disconnect_user(self, user_id: str) -> int:
        """Tell the nodes where the user is."""
        return await self._tell(await self._nodes_of_user(user_id), b"X" + _encode((user_id, None)))

    async def disconnect_connection(self, connection_id: str) -> int:
        """Tell the node where the connection is."""
        return await self._tell(await self._node_of(connection_id), b"X" + _encode((None, connection_id)))

    # --- listings ---

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Ask for one row more than the page takes; for as many more as a page may pass over, if some are hidden."""
        self._link.require_ready()
        most = query.limit + 1 + (0 if visible is None else MOST_HIDDEN)
        order = "names" if query.order == "group" else "sizes"
        bounds = group_ranges(query)
        found = await self._link.run("page", order, most, int(not query.ascending), *bounds) if bounds else []
        return listing_page(query, iter(group_rows(found)), visible)

    async def users(self, group: str, query: UserQuery) -> Page:
        """Ask for one row more than the page takes."""
        self._link.require_ready()
        if query.finished:
            return Page([], "end", True)
        direction = [] if query.ascending else [b"REV"]
        found = await self._link.command(
            b"ZRANGE", self._key("m:", group), *user_range(query), b"BYLEX", *direction, b"LIMIT", 0, query.limit + 1
        )
        return roster_page(user_rows(found[: query.limit]), more=len(found) > query.limit)

    async def count(self) -> tuple[int, int]:
        """Ask for the sizes."""
        self._link.require_ready()
        return (
            await self._link.command(b"ZCARD", self._key("names")),
            await self._link.command(b"HLEN", self._key("w")),
        )

    # --- what channels bring ---

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Hand over what the store has sent (`link.Owner`)."""
        if self._held is not None:
            self._held.append((channel, payload))
            return
        kind = payload[:1]
        if channel == self._own_channel:
            self._hear_own(kind, payload[1:])
            return
        group = keys.decode(channel[self._channel_prefix :])
        number, _, rest = payload[1:].partition(b" ")
        if kind == b"M":
            if self._streams["group"].hear(group, int(number)):
                message = _message(rest)
                message.seq = int(number)
                self._deliver(group, message)
        else:
            event = notice(_CODES[kind], group, keys.parse_row(rest), int(number))
            for receiver in self._receivers:
                receiver.announce(group, event)

    def _hear_own(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":
            number, _, rest = body.partition(b" ")
            user_id, private = _private(rest)
            if self._streams["user"].hear(user_id, int(number)):
                private.seq = int(number)
                self._deliver_to_user(user_id, private)
            return
        for receiver in self._receivers:
            if kind == b"S":
                receiver.deliver_to_connection(*_signal(body))
            else:
                receiver.disconnect(*_order(body))

    def _deliver(self, group: str, event: Message | Gap) -> None:
        for receiver in self._receivers:
            receiver.deliver(group, event)

    def _deliver_to_user(self, user_id: str, event: Private | Gap) -> None:
        for receiver in self._receivers:
            receiver.deliver_to_user(user_id, event)

    # --- what was said while the store, or the way to it, was away ---

    async def _catch_up(self) -> None:
        """Let the connections here hear what they have missed, or that it cannot be had."""
        for kind, streams in self._streams.items():
            await in_chunks(self._catch_up_with(kind, name) for name in list(streams.heard))

    async def _catch_up_with(self, kind: str, name: str) -> None:
        heard = self._streams[kind].heard
        if name not in heard:  # whoever listened is gone since the list was made
            return
        since = position_of(heard[name])
        found = await self._link.run("later", kind, keys.encode(name), keys.encode(since.epoch), since.seq)
        if name not in heard:  # nobody listens any more
            return
        replay = replay_of(found, _message if kind == "group" else _private_of)
        heard[name] = replay.position
        missed: Iterable[Event] = replay.events
        if replay.gap:
            missed = [Gap(name if kind == "group" else None, replay.position)]
        deliver: Callable[[str, Any], None] = self._deliver if kind == "group" else self._deliver_to_user
        for event in missed:
            deliver(name, event)

    # --- inside ---

    def _epoch(self) -> str:
        return f"{self._node}.{next(self._epochs)}"

    def _key(self, *parts: str) -> bytes:
        return keys.encode(self._bucket + "".join(parts))

    async def _nodes_of_user(self, user_id: str) -> Counter[bytes]:
        """Return the nodes where the user is, with the number of connections there."""
        self._link.require_ready()
        return Counter(await self._link.command(b"HVALS", self._key("u:", user_id)))

    async def _node_of(self, connection_id: str) -> Counter[bytes]:
        self._link.require_ready()
        node = await self._link.command(b"HGET", self._key("w"), connection_id)
        return Counter() if node is None else Counter([node])

    async def _tell(self, nodes: Counter[bytes], payload: bytes) -> int:
        """Send `payload` to each of `nodes`; return how many connections those have that heard it."""
        told = 0
        for node, connections in nodes.items():
            heard: Any = await self._link.command(b"SPUBLISH", keys.node_channel(node.decode()), payload)
            told += connections if heard else 0
        return told
