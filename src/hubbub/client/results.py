"""What the client's calls return: typed, frozen, with the names of the spec page in snake_case."""

from __future__ import annotations

import builtins
from typing import Any, Generic, Literal, TypeVar

import msgspec

from hubbub.messages import GroupRow, Position, UserRow

Row = TypeVar("Row", GroupRow, UserRow)
StartKey = dict[str, Any] | Literal["end"]


class Joined(msgspec.Struct, frozen=True):
    """The reply to joining or leaving.

    Attributes:
        message: What was done, in words.
        position: The position of the group's last message; None after leaving.
        replayed: How many messages up to that position follow.
        gap: Whether messages are missing between the requested position and the first of them.
        type: ``success``, as on the wire.
    """

    message: str
    position: Position | None = None
    replayed: int = 0
    gap: bool = False
    type: str = "success"


class Sent(msgspec.Struct, frozen=True):
    """The reply to a post.

    Attributes:
        message: ``Message sent.``
        recipients: How many connections it was delivered to, our own included if we are in the group.
        type: ``success``, as on the wire.
    """

    message: str
    recipients: int
    type: str = "success"


class Page(msgspec.Struct, Generic[Row], frozen=True, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """Part of a listing.

    Attributes:
        list: The rows.
        start_key: Where the next page begins, or ``"end"``.
        end_of_list: Whether this is the last page.
        start_key_history: The start keys of this query so far; at most the last 1,000, and 1 MiB. Each of them can be
            passed as ``start_key`` again.
    """

    list: builtins.list[Row]
    start_key: StartKey
    end_of_list: bool
    start_key_history: tuple[StartKey, ...] = ()
