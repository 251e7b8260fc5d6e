"""Commands, replies and events as structs: what is said, before any dialect says how.

Commands are what a client asks for, replies answer them, events are what the server sends unasked. The field names are
the wire's of dialect ``v1``, so that dialect encodes and decodes these structs as they are; other dialects translate.
Those that are made for every message are not tracked by the garbage collector (``gc=False``): they cannot form cycles.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Order = Literal["group", "number_of_users"]
Condition = Literal["=", "!=", ">", "<", ">=", "<=", "eq", "ne", "gt", "lt", "gte", "lte"]


class Position(msgspec.Struct, frozen=True):
    """Where a message stands in its group: `seq` rises by one within an `epoch`."""

    epoch: str
    seq: int


# --- commands ---------------------------------------------------------------------------------------------------------


class Command(msgspec.Struct, tag_field="do", kw_only=True, gc=False):
    """What a client asks for. Without an `id` it gets no reply."""

    id: int | None = None


class Connect(Command, tag="connect"):
    """Say who you are: by token, by name as a guest, or by the ticket that came with a `Restart`.

    Again with a new token before the old one ends.
    """

    token: str | None = None
    guest: str | None = None
    ticket: str | None = None
    since: Position | None = None  # of the last private message that was heard


class Join(Command, tag="join"):
    """Enter a group, leaving the one before; ``null`` and ``""`` only leave.

    `since` is where one stopped listening; `history` how many messages to hear that were there before.
    """

    group: str | None
    since: Position | None = None
    history: int = 0


class Leave(Command, tag="leave"):
    """Leave the group."""


class Recipient(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Exactly one of a group and a user."""

    group: str | None = None
    user_id: str | None = None


class Post(Command, tag="post"):
    """Send JSON to the own group or to a user. A plain string is resolved as the design's section 2 says.

    A post with a `key` is done once, however often it is sent; one with `min_recipients` is refused, not delivered, if
    fewer connections would hear it.
    """

    to: Recipient | str
    message: msgspec.Raw
    key: str | None = None
    min_recipients: int | None = None


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
    """Send JSON to one connection, whoever's it is: what two browsers tell each other before they talk directly."""

    connection_id: str
    message: msgspec.Raw


AnyCommand: TypeAlias = Connect | Join | Leave | Post | Groups | Users
"""What dialect ``v1`` offers. `Signal` is not among them: so far only the legacy client has a use for it."""


# --- replies ----------------------------------------------------------------------------------------------------------


class Welcome(msgspec.Struct):
    """The answer to `Connect`. Times are seconds, sizes bytes; `expires` is the token's ``exp``, Unix time.

    `inbox` is the position of the user's last private message, and absent when only the token was renewed; `replayed`
    and `gap` are as in `Success`.
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


class Success(msgspec.Struct, omit_defaults=True, tag_field="type", tag="success", gc=False):
    """The answer to `Join`, `Leave` and `Post`, with the texts that the spec page promises.

    `position` is that of the group's last message; `replayed` how many messages up to there follow the answer; `gap`
    that they are not all that came since the position that was asked for.
    """

    message: str
    position: Position | None = None
    recipients: int | None = None
    replayed: int = 0
    gap: bool = False


class GroupRow(msgspec.Struct, frozen=True):
    """One group of a listing. `number_of_users` counts distinct users."""

    group: str
    number_of_users: int
    number_of_connections: int


class UserRow(msgspec.Struct, frozen=True, order=True):
    """One connection of a listing of users."""

    user_id: str
    connection_id: str


class Page(msgspec.Struct, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """Part of a listing. `start_key` continues it; ``"end"`` when there is no more."""

    list: list[GroupRow] | list[UserRow]
    start_key: dict[str, Any] | Literal["end"]
    end_of_list: bool


Reply: TypeAlias = Welcome | Success | Page


# --- events -----------------------------------------------------------------------------------------------------------


class Message(msgspec.Struct, tag_field="type", tag="message", gc=False):
    """What a group hears. `message` is the sender's JSON, as it came."""

    message: msgspec.Raw
    sender: str
    sender_cid: str | None
    sender_rid: str
    seq: int
    code: None = None


class Private(msgspec.Struct, tag_field="type", tag="private", gc=False):
    """What one user hears, on all connections. `seq` counts the private messages of that user."""

    message: msgspec.Raw
    sender: str
    sender_cid: str | None
    sender_rid: None = None
    code: None = None
    seq: int = 0


class Signaled(msgspec.Struct, tag_field="type", tag="signal", gc=False):
    """What one connection hears: the JSON of a `Signal`."""

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
    """Who came and went. `user_connections`: how many connections that user now has in the group."""

    message: str
    sender: str
    sender_cid: str
    sender_rid: str
    code: NoticeCode
    user_connections: int


class Gap(msgspec.Struct, tag_field="type", tag="gap"):
    """Messages of a group, or private ones if it is null, are missing here; behind `position` everything comes again.

    Said to connections that stayed, when the store has lost what they were to hear; others are told in a reply.
    """

    sender_rid: str | None
    position: Position


class Restart(msgspec.Struct, tag_field="type", tag="restart"):
    """The server stops: the connection is closed next, and is to come back after so many seconds, to any node.

    Said to one connection. With its `ticket`, if it has one, it need not prove its identity again; see
    `hubbub.auth.tickets`.
    """

    after: float
    ticket: str | msgspec.UnsetType = msgspec.UNSET
    message: str = "The server restarts: come back."


Event: TypeAlias = Message | Private | Notice | Signaled | Gap | Restart


def notice(code: NoticeCode, group: str, user: UserRow, user_connections: int) -> Notice:
    """Return the notice that `user` came to or went from `group`, with the text that belongs to `code`."""
    text = _NOTICE_TEXTS[code].format(user.user_id)
    return Notice(text, user.user_id, user.connection_id, group, code, user_connections)


def joined(group: str, position: Position, replayed: int = 0, *, gap: bool = False) -> Success:
    """Return the reply to a join, letter for letter as the spec page has it."""
    return Success(f'Joined realtime message group: "{group}".', position=position, replayed=replayed, gap=gap)


LEFT = Success("Left realtime message group.")


def sent(recipients: int) -> Success:
    """Return the reply to a post that was handed to `recipients` connections."""
    return Success("Message sent.", recipients=recipients)
