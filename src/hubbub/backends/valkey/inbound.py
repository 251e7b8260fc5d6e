"""What the channels of one shard bring, delivered in order and without holes, even across reconnects."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from hubbub.backends.base import Receiver
from hubbub.backends.valkey import envelope, schema
from hubbub.backends.valkey.offsets import Offsets, parse_replay, script_position
from hubbub.groups.history import Replay
from hubbub.messages import Event, Gap, Message, NoticeCode, Private, notice

_CODES: dict[bytes, NoticeCode] = {b"J": "USER_JOINED", b"L": "USER_LEFT", b"D": "USER_DISCONNECTED"}

Run = Callable[..., Coroutine[Any, Any, Any]]


class Inbound:
    """What this node receives from one shard.

    Args:
        prefix: What all channels of the shard begin with.
        receivers: The nodes that messages are delivered to; the list may grow.

    Attributes:
        groups: The groups that are received, and how far.
        users: The inboxes that are received, and how far.
        repaired: Keys that had the wrong type and of which another node has repaired its part.
    """

    def __init__(self, prefix: str, receivers: list[Receiver]) -> None:
        self._prefix = prefix
        self.groups = Offsets()
        self.users = Offsets()
        self.repaired: set[bytes] = set()
        self._receivers = receivers
        self._held: list[tuple[bytes, bytes]] | None = None  # what arrives while the shard is being corrected

    def receive(self, channel: bytes, payload: bytes) -> None:
        """Deliver what the store has sent, or hold it back."""
        if self._held is not None:
            self._held.append((channel, payload))
            return
        sort, name = schema.parse_channel(channel)
        kind, body = payload[:1], payload[1:]
        if sort == b"o":
            self._receive_own(kind, body)
            return
        group = schema.decode(name)
        number, _, rest = body.partition(b" ")
        if kind == b"M":
            seq = int(number)
            if seq == envelope.NOT_KEPT or self.groups.receive(group, seq):
                self._deliver_message(group, envelope.unpack_message(rest, group, seq), echo=envelope.has_echo(rest))
        else:
            event = notice(_CODES[kind], group, schema.parse_row(rest), int(number))
            for receiver in self._receivers:
                receiver.announce(group, event)

    def deliver_own(self, group: str, messages: Sequence[Message]) -> None:
        """Deliver messages of this node that the store has numbered, one after the other.

        If they were published too, what comes back is dropped by its number.
        """
        if self._held is not None:
            channel = schema.group_channel(self._prefix, group)
            self._held += ((channel, b"M%d " % (each.seq or 0) + envelope.pack_message(each)) for each in messages)
            return
        if self.groups.receive(group, messages[0].seq or 0):
            if len(messages) > 1:
                self.groups.receive(group, messages[-1].seq or 0)
            for message in messages:
                for receiver in self._receivers:
                    receiver.deliver(group, message)

    def _receive_own(self, kind: bytes, body: bytes) -> None:
        """Handle what arrived on the channel of this node."""
        if kind == b"P":
            number, _, rest = body.partition(b" ")
            user_id, private = envelope.unpack_private(rest)
            private.seq = int(number) or None
            if private.seq is None or self.users.receive(user_id, private.seq):
                but = None if envelope.has_echo(rest) or private.sender != user_id else private.sender_cid
                self._deliver_to_user(user_id, private, but)
            return
        if kind == b"W":
            self.repaired.add(body)
            return
        for receiver in self._receivers:
            if kind == b"S":
                receiver.deliver_to_connection(*envelope.unpack_signal(body))
            else:
                receiver.close_connections(*envelope.unpack_order(body))

    def _deliver_message(self, group: str, message: Message, *, echo: bool) -> None:
        message.seq = message.seq or None
        for receiver in self._receivers:
            if echo:
                receiver.deliver(group, message)
            else:
                receiver.announce(group, message)

    def _deliver(self, group: str, event: Message | Gap) -> None:
        for receiver in self._receivers:
            receiver.deliver(group, event)

    def _deliver_to_user(self, user_id: str, event: Private | Gap, but: str | None = None) -> None:
        for receiver in self._receivers:
            receiver.deliver_to_user(user_id, event, but)

    def members_lost(self, found: list[bytes]) -> None:
        """Report rows, each followed by its group, that this node has removed because their node is dead."""
        lost = [(schema.parse_row(row), schema.decode(group)) for row, group in pairs(found)]
        for receiver in self._receivers:
            receiver.members_lost(lost)

    def close_connections(self, user_id: str) -> None:
        """Close the local connections of a user, as an order from another node would."""
        for receiver in self._receivers:
            receiver.close_connections(user_id, None)

    # --- what was posted while the store, or the connection to it, was away ---

    def hold(self) -> None:
        """Hold back what arrives until `release`."""
        self._held = []

    def release(self) -> None:
        """Deliver what was held back."""
        held, self._held = self._held or [], None
        for channel, payload in held:
            self.receive(channel, payload)

    async def catch_up(self, kind: str, name: str, run: Run) -> None:
        """Deliver what local connections have missed of a ``group`` or ``user``, or a gap if the store lacks it."""
        received = (self.groups if kind == "group" else self.users).received
        if name not in received:
            return
        since = script_position(received[name])
        found = await run("catch_up", kind, schema.encode(name), schema.encode(since.epoch), since.seq)
        if name not in received:  # the last connection that received it has left meanwhile
            return
        replay = group_replay(found, name) if kind == "group" else user_replay(found)
        received[name] = replay.position
        missed: Iterable[Event] = replay.events
        if replay.gap:
            missed = [Gap(name if kind == "group" else None, replay.position)]
        deliver: Callable[[str, Any], None] = self._deliver if kind == "group" else self._deliver_to_user
        for event in missed:
            deliver(name, event)


def pairs(found: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """Return the items in pairs."""
    return zip(found[::2], found[1::2], strict=True)


def group_replay(found: list[Any], group: str) -> Replay:
    """Return what a script has replayed of a group."""
    return parse_replay(found, partial(envelope.unpack_message, group=group, seq=0))


def user_replay(found: list[Any]) -> Replay:
    """Return what a script has replayed of an inbox."""
    return parse_replay(found, lambda entry: envelope.unpack_private(entry)[1])
