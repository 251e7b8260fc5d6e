"""The events that programs receive: one frozen struct for each kind, for use with ``match``.

`Message`, `Private`, `Notice` and `Other` come from the server, with the message decoded to Python. `Gap` reports
missing messages. The other four are about the connection itself. `type` is the same word as in the browser client.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import msgspec

from hubbub.messages import NoticeCode, Position


class _Tagged(msgspec.Struct, tag_field="type", frozen=True):
    @property
    def type(self) -> str:
        """The kind of event, as on the wire."""
        return cast(str, self.__struct_config__.tag)


class Message(_Tagged, tag="message", frozen=True):
    """A message to the group; its sender receives it too.

    Attributes:
        message: The JSON that was posted, as Python.
        sender: The sender's user id.
        sender_cid: The sender's connection id; None when it was posted over HTTP.
        sender_rid: The group.
        seq: The number of the message in its group; each one is one higher than the last. None for a message that is
            not kept (``keep=False``): it cannot be missed, and no `Gap` reports it.
        code: Always None.
    """

    message: Any
    sender: str
    sender_cid: str | None
    sender_rid: str
    seq: int | None
    code: None = None


class Private(_Tagged, tag="private", frozen=True):
    """A private message to this user, on each of the user's connections.

    Attributes:
        message: The JSON that was posted, as Python.
        sender: The sender's user id.
        sender_cid: The sender's connection id; None when it was posted over HTTP.
        sender_rid: Always None: the message belongs to no group.
        code: Always None.
        seq: The number of the message among this user's private messages; each one is one higher than the last. None
            for a message that is not kept.
    """

    message: Any
    sender: str
    sender_cid: str | None
    sender_rid: None = None
    code: None = None
    seq: int | None = 0


class Notice(_Tagged, tag="notice", frozen=True):
    """A user joined the group, left it, or lost the connection.

    Attributes:
        message: The same in words.
        sender: The id of that user.
        sender_cid: The id of the connection that joined or left.
        sender_rid: The group.
        code: ``USER_JOINED``, ``USER_LEFT`` (left, or changed groups) or ``USER_DISCONNECTED`` (lost the connection).
        user_connections: How many connections that user now has in the group. A user who joins with a second device
            has 2; 0 means that the last one is gone.
    """

    message: str
    sender: str
    sender_cid: str
    sender_rid: str
    code: NoticeCode
    user_connections: int


class Gap(_Tagged, tag="gap", frozen=True):
    """Messages are missing here and will not arrive: we were offline for too long, or the server has lost them.

    Attributes:
        group: The group; None for private messages.
        since: The position of the last message received; None if there was none.
        position: Every message after this position arrives.
    """

    group: str | None
    since: Position | None
    position: Position

    @property
    def missed(self) -> int | None:
        """How many messages are missing; None if unknown, because the epoch changed and numbering started again."""
        known = self.since is not None and self.since.epoch == self.position.epoch
        return self.position.seq - self.since.seq if known and self.since else None


class Other(msgspec.Struct, frozen=True):
    """An event that this version of the client does not know, from a later server.

    Attributes:
        type: The kind of event, as on the wire.
        data: The whole event, as it arrived.
    """

    type: str
    data: dict[str, Any]


class Connected(_Tagged, tag="success", frozen=True):
    """Connected, for the first time or again, and back in the group.

    Attributes:
        message: The same in words.
    """

    message: str = "Connected to WebSocket server."


class Reconnecting(_Tagged, tag="reconnect", frozen=True):
    """The connection was lost, or could not be opened; the next attempt is in `delay` seconds.

    Attributes:
        code: The WebSocket's close code (1006 if there was none), or the error code of a refusal.
        reason: Why, as far as it is known.
        delay: Seconds until the next attempt.
        message: What happens, in words.
    """

    code: int | str
    reason: str
    delay: float
    message: str = "Reconnecting to WebSocket server..."


class Problem(_Tagged, tag="error", frozen=True):
    """Something failed that no call reports. If the connection ends because of it, `Closed` follows.

    Attributes:
        code: A close code or an error code; `LOST` when events were dropped, `UNREADABLE` for what cannot be decoded.
        message: What failed, and what to do.
        lost: How many events were dropped here because they were not read in time.
    """

    code: int | str
    message: str
    lost: int = 0


class Closed(_Tagged, tag="close", frozen=True):
    """The connection has ended, and the client does not reconnect. No event follows.

    Attributes:
        code: The WebSocket's close code, or the error code of a refusal.
        message: The same in words.
    """

    code: int | str
    message: str = "WebSocket connection closed."


Event: TypeAlias = Message | Private | Notice | Gap | Other | Connected | Reconnecting | Problem | Closed

LOST = "EVENTS_LOST"
"""The code of a `Problem` that replaces dropped events."""
UNREADABLE = "UNREADABLE"
"""The code of a `Problem` that replaces a frame that could not be decoded."""
