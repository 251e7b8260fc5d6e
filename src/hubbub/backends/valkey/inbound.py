"""What the channels of one shard bring, in order and without holes, whatever happens to the way to the store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from hubbub.backends.base import Receiver
from hubbub.backends.valkey import envelope, schema
from hubbub.backends.valkey.offsets import Offsets, replay_of
from hubbub.backends.valkey.offsets import since as position_of
from hubbub.groups.history import Replay
from hubbub.messages import Event, Gap, Message, NoticeCode, Private, notice

_CODES: dict[bytes, NoticeCode] = {b"J": "USER_JOINED", b"L": "USER_LEFT", b"D": "USER_DISCONNECTED"}

Run = Callable[..., Coroutine[Any, Any, Any]]


class Inbound:
    """What this node hears of one shard.

    Args:
        receivers: Whom it is handed to; may grow.

    Attributes:
        groups: How far the groups were heard.
        users: How far the inboxes were heard.
        wrong: Keys that were wrong, and of which another node has put its part right.
    """

    def __init__(self, receivers: list[Receiver]) -> None:
        self.groups = Offsets()
        self.users = Offsets()
        self.wrong: set[bytes] = set()
        self._receivers = receivers
        self._held: list[tuple[bytes, bytes]] | None = None  # what came while the shard is made to agree

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Hand over what the store has sent, unless it is held back."""
        if self._held is not None:
            self._held.append((channel, payload))
            return
        sort, name = schema.parse_channel(channel)
        kind, body = payload[:1], payload[1:]
        if sort == b"o":
            self._hear_own(kind, body)
            return
        group = schema.decode(name)
        number, _, rest = body.partition(b" ")
        if kind == b"M":
            if self.groups.hear(group, int(number)):
                self._deliver(group, envelope.unpack_message(rest, group, int(number)))
        else:
            event = notice(_CODES[kind], group, schema.parse_row(rest), int(number))
            for receiver in self._receivers:
                receiver.announce(group, event)

    def _hear_own(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":
            number, _, rest = body.partition(b" ")
            user_id, private = envelope.unpack_private(rest)
            if self.users.hear(user_id, int(number)):
                private.seq = int(number)
                self._deliver_to_user(user_id, private)
            return
        if kind == b"W":
            self.wrong.add(body)
            return
        for receiver in self._receivers:
            if kind == b"S":
                receiver.deliver_to_connection(*envelope.unpack_signal(body))
            else:
                receiver.close_connections(*envelope.unpack_order(body))

    def _deliver(self, group: str, event: Message | Gap) -> None:
        for receiver in self._receivers:
            receiver.deliver(group, event)

    def _deliver_to_user(self, user_id: str, event: Private | Gap) -> None:
        for receiver in self._receivers:
            receiver.deliver_to_user(user_id, event)

    def disconnect(self, user_id: str) -> None:
        """Close the connections of a user here, as an order from another node would."""
        for receiver in self._receivers:
            receiver.close_connections(user_id, None)

    # --- what was said while the store, or the way to it, was away ---

    def hold(self) -> None:
        """Hold back what comes until `release`."""
        self._held = []

    def release(self) -> None:
        """Hand over what was held back."""
        held, self._held = self._held or [], None
        for channel, payload in held:
            self.hear(channel, payload)

    async def catch_up(self, kind: str, name: str, run: Run) -> None:
        """Let the connections here hear what they have missed of a ``group`` or ``user``, or that it cannot be had."""
        heard = (self.groups if kind == "group" else self.users).heard
        if name not in heard:
            return
        since = position_of(heard[name])
        found = await run("catch_up", kind, schema.encode(name), schema.encode(since.epoch), since.seq)
        if name not in heard:  # nobody listens any more
            return
        replay = group_replay(found, name) if kind == "group" else user_replay(found)
        heard[name] = replay.position
        missed: Iterable[Event] = replay.events
        if replay.gap:
            missed = [Gap(name if kind == "group" else None, replay.position)]
        deliver: Callable[[str, Any], None] = self._deliver if kind == "group" else self._deliver_to_user
        for event in missed:
            deliver(name, event)


def group_replay(found: list[Any], group: str) -> Replay:
    """Return what a script has replayed of a group."""
    return replay_of(found, partial(envelope.unpack_message, group=group, seq=0))


def user_replay(found: list[Any]) -> Replay:
    """Return what a script has replayed of an inbox."""
    return replay_of(found, lambda entry: envelope.unpack_private(entry)[1])
