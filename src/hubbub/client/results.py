"""What the client's calls return: typed, frozen, with the names of the spec page in snake_case."""

from __future__ import annotations

import builtins
from typing import Any, Generic, Literal, TypeVar

import msgspec

from hubbub.messages import GroupRow, Position, UserRow

Row = TypeVar("Row", GroupRow, UserRow)
StartKey = dict[str, Any] | Literal["end"]


class Joined(msgspec.Struct, frozen=True):
    """The answer to joining or leaving.

    Attributes:
        position: That of the group's last message so far; None after leaving.
        replayed: How many messages up to there follow.
        gap: Whether these are not all since the position that was asked for.
    """

    message: str
    position: Position | None = None
    replayed: int = 0
    gap: bool = False
    type: str = "success"


class Sent(msgspec.Struct, frozen=True):
    """The answer to a post. `recipients`: how many connections it was handed to, our own in the group included."""

    message: str
    recipients: int
    type: str = "success"


class Page(msgspec.Struct, Generic[Row], frozen=True, rename={"start_key": "startKey", "end_of_list": "endOfList"}):
    """Part of a listing.

    Attributes:
        list: The rows.
        start_key: Where the next page begins, or ``"end"``.
        end_of_list: Whether there is no more.
        start_key_history: The start keys of this query so far; any of them can be handed in as ``start_key`` again.
    """

    list: builtins.list[Row]
    start_key: StartKey
    end_of_list: bool
    start_key_history: tuple[StartKey, ...] = ()
