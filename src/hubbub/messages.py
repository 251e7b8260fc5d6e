"""Commands, replies and events as structs, independent of any dialect.

A client sends commands, replies answer them, and events are what the server sends on its own. The field names are those
of dialect ``v1``, which encodes and decodes these structs as they are; other dialects translate. Structs that are made
for every message are not tracked by the garbage collector (``gc=False``): they cannot form cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

Order = Literal["group", "number_of_users"]
Condition = Literal["=", "!=", ">", "<", ">=", "<=", "eq", "ne", "gt", "lt", "gte", "lte"]


class Position(msgspec.Struct, frozen=True):
    """The position of a message in its group, or among a user's private messages.

    Attributes:
        epoch: Changes when numbering starts again; positions of different epochs cannot be compared.
        seq: The number of the message; it increases by one within an epoch.
    """

    epoch: str
    seq: int


# --- commands ---------------------------------------------------------------------------------------------------------


class Command(msgspec.Struct, tag_field="do", kw_only=True, gc=False):
    """A request of a client. Without an `id` it gets no reply."""

    id: int | None = None


class Connect(Command, tag="connect"):
    """Identify the connection: by token, by guest name, or by the ticket that came with a `Restart`.

    With none of them, the app in which the hub is mounted says who the client is. Sent again with a new token before
    the old one expires. A guest name that is in use is refused without its `guest_key`, which the welcome of the name's
    first connection carries; that connection may also choose it.
    """

    token: str | None = None
    guest: str | None = None
    guest_key: str | None = None
    ticket: str | None = None
    since: Position | None = None  # the position of the last private message that was received


class Join(Command, tag="join"):
    """Join a group and leave the previous one; ``null`` and ``""`` only leave.

    `since` is the position of the last message that was received; `history` is how many earlier messages to replay.
    Without `notices` the connection is not told who joins and leaves. An `invisible` connection is no member: it
    receives what the group is sent, but is listed and counted nowhere and announced to nobody. That needs a right.
    """

    group: str | None
    since: Position | None = None
    history: int = 0
    notices: bool = True
    invisible: bool = False


class Leave(Command, tag="leave"):
    """Leave the group."""


class Recipient(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Exactly one of a group and a user."""

    group: str | None = None
    user_id: str | None = None


class Post(Command, tag="post"):
    """Send JSON to the joined group or to a user.

    In `to`, a plain string means the joined group if that is its name, otherwise a user. A post with a `key` is
    delivered once, however often it is sent. A post with `min_recipients` is refused, and not delivered, if fewer
    connections would receive it. Without `keep` the message is only delivered to present connections and is in no
    history; it has no number and no `key`. Without `echo` it is not sent to the connection that posts it.
    """

    to: Recipient | str
    message: msgspec.Raw
    key: str | None = None
    min_recipients: int | None = None
    keep: bool = True
    echo: bool = True


class Groups(Command, tag="groups", rename={"search_for": "searchFor", "start_key": "startKey"}):
    """List or search the groups."""

    search_for: Order = "group"
    value: str | int | float | None = None
    condition: Condition | None = None
    range: str | int | float | None = None
    limit: int | None = None
    ascending: bool = True
    start_key: dict[str, Any] | str | None = None


class Users(Command, tag="users", rename={"start_key": "startKey"}):
    """List the connections in a group, or those of one user in it."""

    group: str | None = None
    user_id: str | None = None
    limit: int | None = None
    ascending: bool = True
    start_key: dict[str, Any] | str | None = None


class Signal(Command, tag="signal"):
    """Send JSON to one connection of any user: WebRTC signalling, before two browsers connect directly."""

    connection_id: str
    message: msgspec.Raw


class Watch(Command, tag="watch", rename={"search_for": "searchFor", "start_key": "startKey"}):
    """Watch a listing: the reply has the page, and events say how it changes, until `Unwatch`.

    `what` says which: ``"groups"`` takes the fields of `Groups`, or `groups`, the names of groups to watch whether they
    exist or not; ``"users"`` takes the fields of `Users`. `every` is the least time between two events, milliseconds.
    """

    what: Literal["groups", "users"]
    every: int | float | None = None
    groups: list[str] | None = None
    search_for: Order | None = None
    value: str | int | float | None = None
    condition: Condition | None = None
    range: str | int | float | None = None
    group: str | None = None
    user_id: str | None = None
    limit: int | None = None
    ascending: bool = True
    start_key: dict[str, Any] | str | None = None


class Unwatch(Command, tag="unwatch"):
    """End a watch of this connection."""

    watch: int


AnyCommand: TypeAlias = Connect | Join | Leave | Post | Groups | Users | Watch | Unwatch
"""The commands of dialect ``v1``. `Signal` is not among them: so far only the legacy client uses it."""


# --- replies ----------------------------------------------------------------------------------------------------------


class Welcome(msgspec.Struct):
    """The reply to `Connect`. Times are seconds, sizes bytes; `expires` is the token's ``exp``, Unix time.

    `inbox` is the position of the user's last private message; it is absent when only the token was renewed. `replayed`
    and `gap` are as in `Success`. `guest_key` is for guests only: with it, further connections can use the same name.
    """

    user_id: str
    connection_id: str
    node: str
    ping: float
    max_message: int
    expires: float | None = None
    inbox: Position | msgspec.UnsetType = msgspec.UNSET
    replayed: int | msgspec.UnsetType = msgspec.UNSET
    gap: bool | msgspec.UnsetType = msgspec.UNSET
    guest_key: str | msgspec.UnsetType = msgspec.UNSET


class Success(msgspec.Struct, omit_defaults=True, tag_field="type", tag="success", gc=False):
    """The reply to `Join`, `Leave` and `Post`, with the texts that the spec page promises.

    `position` is that of the group's last message. `replayed` is how many messages up to there follow the reply. `gap`
    says that some messages since the requested position are missing.
    """

    message: str
    position: Position | None = None
    recipients: int | None = None
    replayed: int = 0
    gap: bool = False


class GroupRow(msgspec.Struct, frozen=True):
    """One group in a listing.

    Attributes:
        group: Its name.
        number_of_users: How many distinct users are in it.
        number_of_connections: How many connections are in it: a user with two tabs has two.
    """

    group: str
    number_of_users: int
    number_of_connections: int


class UserRow(msgspec.Struct, frozen=True, order=True):
    """One connection in a listing of users.

    Attributes:
        user_id: Its user.
        connection_id: Its id, which no other connection has.
    """

    user_id: str
    connection_id: str


class Page(msgspec.Struct, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """One page of a listing. `start_key` is for the next page; ``"end"`` after the last."""

    list: list[GroupRow] | list[UserRow]
    start_key: dict[str, Any] | Literal["end"]
    end_of_list: bool


class Watched(msgspec.Struct, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """The reply to `Watch`: the page as it is now, and the number of the watch.

    `count` is how many groups or connections match in all; null where the rights of the reader filter the listing.
    """

    watch: int
    list: Sequence[GroupRow] | Sequence[UserRow]
    count: int | None
    start_key: dict[str, Any] | Literal["end"]
    end_of_list: bool


UNWATCHED = Success("The watch has ended.")
"""The reply to `Unwatch`."""


Reply: TypeAlias = Welcome | Success | Page | Watched


# --- events -----------------------------------------------------------------------------------------------------------


class Message(msgspec.Struct, tag_field="type", tag="message", gc=False):
    """A message to a group. `message` is the sender's JSON, byte for byte; `seq` is null if it is not kept."""

    message: msgspec.Raw
    sender: str
    sender_cid: str | None
    sender_rid: str
    seq: int | None
    code: None = None


class Private(msgspec.Struct, tag_field="type", tag="private", gc=False):
    """A message to one user, on all connections.

    `seq` counts the private messages of that user; it is null if the message is not kept.
    """

    message: msgspec.Raw
    sender: str
    sender_cid: str | None
    sender_rid: None = None
    code: None = None
    seq: int | None = 0


class Signaled(msgspec.Struct, tag_field="type", tag="signal", gc=False):
    """The JSON of a `Signal`, for one connection."""

    message: msgspec.Raw
    sender: str
    sender_cid: str
    sender_rid: None = None
    code: None = None


NoticeCode = Literal["USER_JOINED", "USER_LEFT", "USER_DISCONNECTED"]

_NOTICE_TEXTS: dict[NoticeCode, str] = {
    "USER_JOINED": 'User "{}" has joined the message group.',
    "USER_LEFT": 'User "{}" has left the message group.',
    "USER_DISCONNECTED": 'User "{}" has been disconnected and left the message group.',
}


class Notice(msgspec.Struct, tag_field="type", tag="notice"):
    """A user has joined or left. `user_connections` is how many connections that user now has in the group."""

    message: str
    sender: str
    sender_cid: str
    sender_rid: str
    code: NoticeCode
    user_connections: int


class Gap(msgspec.Struct, tag_field="type", tag="gap"):
    """Messages of a group are missing, or private ones if `sender_rid` is null; after `position` none are.

    Sent to connections that stayed open while the store lost messages for them; a client that reconnects is told in the
    reply.
    """

    sender_rid: str | None
    position: Position


class Posted(msgspec.Struct, tag_field="type", tag="posted", gc=False):
    """The number of a message that this connection has posted with ``"echo": false``, instead of the message.

    It comes where the message would have come, so that the client knows its position, and sees no gap. `sender_rid` is
    the group, or null for a private message.
    """

    sender_rid: str | None
    seq: int


class Restart(msgspec.Struct, tag_field="type", tag="restart"):
    """The server stops and closes the connection next; the client should reconnect, to any node, in `after` seconds.

    Sent to one connection. With the `ticket`, if there is one, the client needs no new token: see
    `hubbub.auth.tickets`.
    """

    after: float
    ticket: str | msgspec.UnsetType = msgspec.UNSET
    message: str = "The server restarts: reconnect."


class GroupsChanged(msgspec.Struct, tag_field="type", tag="groups"):
    """A watched listing of groups has changed: `set` has new and changed rows, `gone` names that have left the page.

    Or `list`, the whole page, has replaced it. `count` is as in `Watched`.
    """

    watch: int
    set: Sequence[GroupRow] | msgspec.UnsetType = msgspec.UNSET
    gone: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    list: Sequence[GroupRow] | msgspec.UnsetType = msgspec.UNSET
    count: int | None = None


class UsersChanged(msgspec.Struct, tag_field="type", tag="users"):
    """The same of a watched listing of users; `gone` holds connection ids."""

    watch: int
    set: Sequence[UserRow] | msgspec.UnsetType = msgspec.UNSET
    gone: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    list: Sequence[UserRow] | msgspec.UnsetType = msgspec.UNSET
    count: int | None = None


class Unwatched(msgspec.Struct, tag_field="type", tag="unwatched"):
    """The server has ended a watch: the reader has lost the right to it, or it would exceed a limit."""

    watch: int
    code: str
    message: str


Event: TypeAlias = (
    Message | Private | Notice | Signaled | Gap | Posted | Restart | GroupsChanged | UsersChanged | Unwatched
)


def notice(code: NoticeCode, group: str, user: UserRow, user_connections: int) -> Notice:
    """Return the notice that `user` has joined or left `group`, with the text that belongs to `code`."""
    text = _NOTICE_TEXTS[code].format(user.user_id)
    return Notice(text, user.user_id, user.connection_id, group, code, user_connections)


def joined(group: str, position: Position, replayed: int = 0, *, gap: bool = False) -> Success:
    """Return the reply to a join. The text is the one that the spec page promises."""
    return Success(f'Joined realtime message group: "{group}".', position=position, replayed=replayed, gap=gap)


LEFT = Success("Left realtime message group.")


def sent(recipients: int) -> Success:
    """Return the reply to a post that was delivered to `recipients` connections."""
    return Success("Message sent.", recipients=recipients)
