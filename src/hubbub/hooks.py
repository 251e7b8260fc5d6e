"""What an app decides for a node: the seam between the commands and the hooks of an app. Pure.

A node without hooks has none of this: `AppSide` is made for connections of a node with hooks only. `hubbub.hub` asks
functions in the same process, `hubbub.http_hooks` asks another program. For such a program, this module has `verify`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from hubbub.auth.identity import Identity
from hubbub.counters import Counters
from hubbub.http_hooks.signing import SignatureError, TimestampError, VerificationError, verify
from hubbub.messages import Command, UserRow

__all__ = [
    "AppSide",
    "Asking",
    "Hooks",
    "RemoteApp",
    "SignatureError",
    "TimestampError",
    "VerificationError",
    "WhyLeft",
    "verify",
]

WhyLeft = Literal["left", "switched", "disconnected", "node lost"]
"""Why a connection left a group: it sent ``leave``; it joined another group; it ended; its server process died."""


class AppSide:
    """What the app knows of one connection. The transport makes it and sets it as `Session.app`.

    Attributes:
        handshake: The ``starlette.requests.HTTPConnection`` of the opening handshake, for ``on_connect``; None once
            the app has answered or the connection is identified, so that its headers take no more memory.
        data: ``User.data``: it never leaves the process.
        group: The group that the backend has the connection in. The fan-out forgets it as soon as the connection begins
            to close, and ``on_leave`` must still name it.
        after: What runs once the running command is answered, before the next command.
    """

    __slots__ = ("after", "data", "group", "handshake")

    def __init__(self, handshake: object | None) -> None:
        self.handshake = handshake
        self.data: Any = None
        self.group: str | None = None
        self.after: list[Coroutine[Any, Any, None]] = []


class Asking(Protocol):
    """A session, as the app is asked about it."""

    user_id: str
    connection_id: str
    identity: Identity | None
    app: AppSide | None

    @property
    def group(self) -> str | None:
        """The group that it is in."""
        ...


class RemoteApp(NamedTuple):
    """How it is to reach an app in another process.

    Attributes:
        away: Whether it has not answered lately.
        allowed: How many joins and posts went on without an answer, because ``hooks_away`` is ``"allow"``.
        untold: How many events it has not been told of yet.
        untold_bytes: Their size.
        dropped: How many events it will never be told of.
        retried: How many attempts to tell it were not the first.
    """

    away: bool
    allowed: int
    untold: int
    untold_bytes: int
    dropped: int
    retried: int


class Hooks(Protocol):
    """What a node asks an app. Each method that asks runs the hook within its time limit.

    Raises:
        CommandError: ``FORBIDDEN``, with the text of the app's ``Deny``; ``UNAVAILABLE``, no answer in time;
            ``INTERNAL``, the hook failed, which was logged; ``INVALID_PARAMETER``, `post` and `private` only: the
            message is not what the hook takes.
    """

    connects: bool
    """Whether there is an ``on_connect``."""

    posts: bool
    """Whether there is an ``on_post``, for whichever groups."""

    privates: bool
    """Whether there is an ``on_private``."""

    commands: frozenset[type[Command]]
    """The commands that may run a hook, so that they need a task."""

    def count_in(self, counters: Counters) -> None:
        """Count the calls of hooks there."""
        ...

    @property
    def running(self) -> int:
        """How many hooks run at present."""
        ...

    @property
    def waiting(self) -> int:
        """How many hooks wait because as many run as may."""
        ...

    @property
    def remote(self) -> RemoteApp | None:
        """How it is to reach the app; None if it is in this process."""
        ...

    def close(self) -> None:
        """Release what is used to reach the app, after the node has ended."""
        ...

    def checks_joins(self, group: str) -> bool:
        """Whether an ``on_join`` is for this group."""
        ...

    def checks_posts(self, group: str) -> bool:
        """Whether an ``on_post`` is for this group."""
        ...

    async def connect(self, session: Asking) -> Identity | None:
        """Ask who the client is, and keep ``User.data`` in `Session.app`; None: the app does not know."""
        ...

    async def join(self, session: Asking, group: str) -> None:
        """Ask whether the connection may join `group`."""
        ...

    async def post(
        self, session: Asking, group: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Ask for the message that the group is sent; None: nothing is sent."""
        ...

    async def private(
        self, session: Asking, to: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Ask for the message that the user `to` is sent; None: nothing is sent."""
        ...

    def left(self, session: Asking, group: str, why: WhyLeft) -> Coroutine[Any, Any, None] | None:
        """Return what tells the app that the connection has left `group`; None if it does not ask. Never raises."""
        ...

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> Coroutine[Any, Any, None] | None:
        """Return what tells the app that connections left groups because another node died; None if it does not ask."""
        ...

    def disconnected(self, session: Asking) -> Coroutine[Any, Any, None] | None:
        """Return what tells the app that an identified connection has ended; None if it does not ask. Never raises."""
        ...
