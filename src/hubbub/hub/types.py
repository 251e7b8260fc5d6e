"""What hooks take and return: `User`, `Member`, `Post`, `Deny`; and the error of a hook that is defined wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from hubbub.errors import HubbubError, HubError

T = TypeVar("T")

MAX_DENY = 1000
"""Most characters of the text of a `Deny` that the client is sent."""


class HookError(HubError, TypeError):
    """A hook cannot be registered: wrong parameters, an unknown name in a pattern, a duplicate. Says what to change."""


class Deny(HubbubError):  # noqa: N818  (a fixed name: an answer, not an error of the program)
    """Raised by a hook to refuse: the client gets ``FORBIDDEN`` with this text.

    Args:
        text: For the person who uses the client. At most `MAX_DENY` characters of it are sent.
    """

    def __init__(self, text: str = "The app does not allow this.") -> None:
        super().__init__(text)
        self.text = str(text)[:MAX_DENY].encode("utf-8", "replace").decode()


@dataclass(slots=True)
class User:
    """Who a client is, and what it may do: what ``on_connect`` returns.

    Attributes:
        user_id: The user's id, as others see it; an ``int`` or ``UUID`` becomes text.
        name: The name to display, or None.
        groups: Patterns (``*``, ``?``, ``[abc]``) of the groups that the user may join and see; None for all. Names
            that are meant literally go through `hubbub.escape_group`.
        post: Patterns of the groups that the user may post to; None for all that it may join.
        private: Whether the user may send private messages.
        invisible: Whether the user may join groups without being listed, counted or announced there.
        data: Anything: hooks get it as ``member.data``. It never leaves the process.
        expires: When the connection is closed, so that the client connects again: Unix time in seconds, or a
            ``datetime`` with a time zone; None for never.
    """

    user_id: str | int | UUID
    name: str | None = None
    groups: Sequence[str] | None = None
    post: Sequence[str] | None = None
    private: bool = True
    data: Any = None
    expires: float | datetime | None = None
    invisible: bool = False


@dataclass(slots=True)
class Member:
    """One connection, as hooks see it.

    Attributes:
        user_id: The id of its user.
        connection_id: Its own id.
        name: The name to display, from ``on_connect`` or the token; None without one.
        group: The group that the hook is about: the one that is joined, posted to or left. In ``on_private`` and
            ``on_disconnect`` the group that the connection is in, or None.
        data: ``User.data`` from ``on_connect``; None for a connection with a token, and for "node lost".
    """

    user_id: str
    connection_id: str
    name: str | None
    group: str | None
    data: Any = None


@dataclass(slots=True)
class Post(Generic[T]):
    """A message on its way, as ``on_post`` and ``on_private`` see it, before anybody else does.

    Attributes:
        message: The message: an instance of the type in ``Post[…]``, or what its JSON decodes to.
        member: Who sent it.
        group: The group that it is for; None in ``on_private``.
        to: The user that it is for; None in ``on_post``.
        key: The client's key of the post. A client that does not know whether a post arrived sends it again with the
            same key, so a program that stores messages under this key stores each once. None if the client gave none.
        keep: Whether the message goes into the history. One that does not, say "bob is typing", is not worth storing.
    """

    message: T
    member: Member
    group: str | None
    to: str | None
    key: str | None
    keep: bool = True
