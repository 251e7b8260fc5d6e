"""What a client hears without having asked: one frozen struct for each kind, to be told apart with ``match``.

`Message`, `Private`, `Notice` and `Other` come from the server, with the message decoded to Python; `Gap` says that
some are missing; the other four how the connection itself is doing. `type` is the same word as in the browser client.
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
    """What the group hears, the sender included.

    Attributes:
        message: The JSON that was posted, as Python.
        sender: The sender's user id.
        sender_cid: The sender's connection id; None when it was posted over HTTP.
        sender_rid: The group.
        seq: Rises by one from message to message of the group.
    """

    message: Any
    sender: str
    sender_cid: str | None
    sender_rid: str
    seq: int
    code: None = None


class Private(_Tagged, tag="private", frozen=True):
    """What one user hears, on every connection. The fields are those of `Message`; there is no group."""

    message: Any
    sender: str
    sender_cid: str | None
    sender_rid: None = None
    code: None = None
    seq: int = 0


class Notice(_Tagged, tag="notice", frozen=True):
    """Who came to the group, left it, or lost the connection.

    Attributes:
        user_connections: How many connections that user now has in the group: who comes with a second device arrives
            with 2, and has really gone with 0.
    """

    message: str
    sender: str
    sender_cid: str
    sender_rid: str
    code: NoticeCode
    user_connections: int


class Gap(_Tagged, tag="gap", frozen=True):
    """Messages are missing at this place and will not come: we were away for too long, or the server started anew.

    Attributes:
        group: The group; None for private messages.
        since: The last position that was heard; None if none was.
        position: Behind it, everything comes again.
    """

    group: str | None
    since: Position | None
    position: Position

    @property
    def missed(self) -> int | None:
        """How many messages are missing; None if nobody can tell, because the numbers began anew."""
        known = self.since is not None and self.since.epoch == self.position.epoch
        return self.position.seq - self.since.seq if known and self.since else None


class Other(msgspec.Struct, frozen=True):
    """An event that this version does not know; a later server may say more.

    Attributes:
        data: All of it, as it came.
    """

    type: str
    data: dict[str, Any]


class Connected(_Tagged, tag="success", frozen=True):
    """Connected, for the first time or again, and back in the group."""

    message: str = "Connected to WebSocket server."


class Reconnecting(_Tagged, tag="reconnect", frozen=True):
    """The connection is lost, or could not be made; it is tried again in `delay` seconds.

    Attributes:
        code: The WebSocket's close code (1006 if there was none), or the error code of a refusal.
        reason: What is known about why.
    """

    code: int | str
    reason: str
    delay: float
    message: str = "Reconnecting to WebSocket server..."


class Problem(_Tagged, tag="error", frozen=True):
    """Something went wrong that no call is told about. If the connection cannot go on, `Closed` follows.

    Attributes:
        code: A close code or an error code; `LOST` when events were dropped, `UNREADABLE` for what cannot be decoded.
        lost: How many events are missing at this place, because they were not read in time.
    """

    code: int | str
    message: str
    lost: int = 0


class Closed(_Tagged, tag="close", frozen=True):
    """The connection has ended and does not come back by itself. Nothing follows."""

    code: int | str
    message: str = "WebSocket connection closed."


Event: TypeAlias = Message | Private | Notice | Gap | Other | Connected | Reconnecting | Problem | Closed

LOST = "EVENTS_LOST"
"""The code of a `Problem` that stands where events were dropped."""
UNREADABLE = "UNREADABLE"
"""The code of a `Problem` that stands in place of a frame that cannot be turned into Python."""
