"""The contract between a node and what it shares with other nodes.

A backend holds the members of each group and the directory, numbers the messages of each group, and carries messages to
the nodes that need them. A node attaches a `Receiver`, which the backend calls with the events for the node's own
connections. One contract suite checks the guarantees below for every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol

from hubbub.auth.bans import TicketUse
from hubbub.backends.feed_source import FeedSource
from hubbub.errors import CommandError
from hubbub.groups.directory import Query
from hubbub.groups.history import Replay
from hubbub.groups.roster import UserQuery
from hubbub.groups.view_query import ViewPage, ViewQuery
from hubbub.messages import Event, Gap, Message, Notice, Page, Position, Private, Signaled, UserRow


class Receiver(Protocol):
    """A node, as the backend sees it. Each call delivers to local connections only, and must not raise."""

    def deliver(self, group: str, event: Event) -> int:
        """Deliver a message, notice or gap to the local members of `group`; return the number of connections."""
        ...

    def announce(self, group: str, event: Notice | Message) -> int:
        """Deliver to the local members of `group`, except ``event.sender_cid``; return the number of connections.

        That is a notice and its subject, or a message that is not sent to the connection that has posted it.
        """
        ...

    def deliver_to_user(self, user_id: str, event: Private | Gap, but: str | None = None) -> int:
        """Deliver a private message, or a gap, to the user's local connections, except `but`; return how many."""
        ...

    def deliver_to_connection(self, connection_id: str, event: Signaled) -> int:
        """Deliver a signal to a local connection; return 1, or 0 if this node does not have it."""
        ...

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> None:
        """Note that these connections left these groups because their node died. Reported on one node, at most once."""
        ...

    def close_connections(self, user_id: str | None, connection_id: str | None) -> int:
        """Close the local connections of the user, or the one connection; return how many were closed."""
        ...


class Backend(Protocol):
    """Membership, directory and publishing, on one node or many.

    Every method may raise `CommandError` with ``UNAVAILABLE`` when the store does not answer. Then either nothing was
    done, or the reply was lost, and the backend corrects the store by itself. Names must have been checked before.
    """

    immediate: ClassVar[bool]
    """True if no method ever waits. The node then runs each command to its end at once, without a task, and posts
    through `ImmediateBackend.publish_now`."""

    shared: ClassVar[bool]
    """Whether there can be other nodes that connections can move to when this one stops."""

    @property
    def feed(self) -> FeedSource:
        """Who came and who left, as events: see there."""
        ...

    @property
    def notices(self) -> int:
        """How many notices it has caused since the process started; for the metrics."""
        ...

    def attach(self, receiver: Receiver) -> None:
        """Deliver events to `receiver` from now on. Called once per node, before anything else."""
        ...

    async def start(self) -> None:
        """Open what the backend needs. Raises `CommandError` ``UNAVAILABLE`` if the store cannot be reached."""
        ...

    async def close(self) -> None:
        """Release everything. The node has closed its own connections before."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the store answers, as far as this node knows."""
        ...

    async def connect(
        self,
        user: UserRow,
        most: int,
        since: Position | None = None,
        ticket: TicketUse | None = None,
        guest_key: bytes | None = None,
    ) -> Replay:
        """Count a new connection of a user, and return the private messages after `since`, if that is given.

        Live delivery begins exactly where the returned messages end: see `join`. A `ticket`, if the user has
        identified itself with one, is used up by this call.

        Guests bring the digest of their key (`hubbub.auth.guest_keys`). While the name has connections, only those with
        the digest of the first one are accepted. A name without connections is free: whoever takes it with another key
        is another person, whose inbox starts empty, with a new epoch.

        Raises:
            CommandError: Nothing was counted. ``FORBIDDEN``: the user is banned (see `disconnect_user`), or the guest
                name is in use and `guest_key` is another one.
                ``INVALID_REQUEST``: the user has `most` connections already. ``UNAUTHORIZED``: the ticket was used
                before, or the user was disconnected after it was issued.
        """
        ...

    async def remove_connection(self, user: UserRow) -> None:
        """Remove a lost connection from everything; its group, if any, is sent ``USER_DISCONNECTED``, once.

        Unknown connections are ignored, so the call can be repeated. Never raises: if the store does not answer, the
        connection is removed when it does.
        """
        ...

    async def send_off(self, users: Iterable[UserRow]) -> None:
        """Expect connections of this node back that are about to be told to reconnect; called before they are told.

        That they leave is not announced. If a connection of the same user joins the same group, on any node, within the
        `restart_grace` of the window, that is not announced either: one join for each connection that was sent off.
        For a user who stays away longer, the group is sent ``USER_DISCONNECTED``. Meanwhile lists and counts contain
        only the connections that are really members.
        """
        ...

    async def shared_secret(self) -> bytes | None:
        """Return a secret that only the nodes know, all of them the same; None unless `shared`.

        Raises `CommandError` ``UNAVAILABLE``.
        """
        ...

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        """Move a connected connection into `group`, in one step, and return the position of the last message there.

        With `since`, the replay holds every later message of the group, in order, or reports a gap. Without `since`, or
        with a gap, it holds the last `history` messages.

        No message is missed or duplicated between replay and live delivery: the last replayed message is the last one
        that this node's receiver was given when the call returns. A caller that goes on without waiting, and delivers
        everything from then on to the connection, leaves no hole and no duplicate.

        A group keeps its history and its numbering for the window after the last member has left. The epoch changes
        whenever continuity of the numbering cannot be guaranteed.

        The members of the old group are sent ``USER_LEFT``, the other members of the new one ``USER_JOINED``; each
        notice says how many connections of that user the group now has. Joining the same group again changes nothing
        and announces nothing. From then on the directory has the new numbers.
        """
        ...

    async def leave(self, user: UserRow) -> None:
        """Remove the connection from its group; the others are sent ``USER_LEFT``. Without a group nothing happens."""
        ...

    async def publish(
        self, message: Message, key: str | None = None, least: int = 0, *, keep: bool = True, echo: bool = True
    ) -> int:
        """Give `message` the next ``seq`` of its group ``sender_rid`` and deliver it to every member on every node.

        All members receive the messages of a group in the order of their ``seq``. Returns how many connections it was
        delivered to; 0 if the group does not exist. When the call returns, the message is in the history.

        Args:
            message: Its ``seq`` is set here.
            key: If the same sender has used it for this group within the window, nothing is delivered, and the first
                result is returned.
            least: With fewer recipients than this, raise ``INVALID_REQUEST`` and deliver nothing.
            keep: If false, the message is only delivered: its ``seq`` becomes None, nothing is kept, and it may be lost
                where others would be replayed. There is no `key`.
            echo: If false, it is not delivered to the connection ``sender_cid``, which is not counted either.
        """
        ...

    async def post_to_user(
        self,
        user_id: str,
        message: Private,
        key: str | None = None,
        least: int = 0,
        *,
        keep: bool = True,
        echo: bool = True,
    ) -> int:
        """Deliver `message` to every connection of the user, on every node; return how many connections there are.

        `key`, `least`, `keep` and `echo` are as in `publish`. The message is kept in the user's inbox as well, which
        stays for the window after the last connection has gone. Nothing is kept for users without an inbox.
        """
        ...

    async def find_post(
        self, sender: str, key: str, *, group: str | None = None, user_id: str | None = None
    ) -> int | None:
        """Return the result of the post with this key by `sender` to `group` or to `user_id`; None if there is none."""
        ...

    async def listen(
        self, group: str, since: Position | None = None, history: int = 0, charged: str | None = None
    ) -> Replay:
        """Deliver the messages of `group` to the receivers of this node even while it has no member here.

        Counted: `unlisten` ends it. Meanwhile messages to the group are numbered, kept and delivered even if it has no
        member at all; but it is in no list and no count.

        Args:
            group: The name of the group.
            since: As in `join`, and so is what is returned.
            history: As in `join`.
            charged: The user whose budget pays for a group that does not exist yet; None for nobody.

        Raises:
            CommandError: ``UNAVAILABLE``; ``RATE_LIMITED``, the budget of `charged` is used up.
        """
        ...

    async def unlisten(self, group: str) -> None:
        """End one `listen`. Never raises."""
        ...

    async def signal(self, connection_id: str, event: Signaled) -> int:
        """Deliver `event` to one connection, on whichever node; return 1, or 0 if there is no such connection."""
        ...

    async def connected(self, user_id: str) -> bool:
        """Whether the user has a connection on any node."""
        ...

    async def disconnect_user(self, user_id: str, for_seconds: float | None = None) -> int:
        """Close all connections of the user, on every node; return how many were told to close.

        The user's tickets are no longer accepted. With `for_seconds`, at most `hubbub.auth.bans.MAX_BAN`, the user is
        banned: it cannot connect to any node for so long, counted from now, whatever ban there was before. 0 ends a
        ban, None leaves it as it is. A node that could not be told, because it was cut off from the store, closes the
        connections of banned users when it reaches the store again.

        Raises:
            CommandError: ``INVALID_REQUEST``: `hubbub.auth.bans.MAX_BANS` users are banned already; nothing was done.
        """
        ...

    async def disconnect_connection(self, connection_id: str) -> int:
        """Close one connection, on whichever node; return 1, or 0 if there is no such connection."""
        ...

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Return one page of the directory; with `visible`, only the groups for which it returns true."""
        ...

    async def users(self, group: str, query: UserQuery) -> Page:
        """Return one page of the members of `group`, ordered by user and connection; empty for unknown groups."""
        ...

    @property
    def revision(self) -> int:
        """A number that rises with each change that one of the views here may show, before or soon after the change.

        For `view` and the next two: a view needs to be asked for again only when `revision_of` says so.
        """
        ...

    @property
    def restarts(self) -> int:
        """How often changes may have been missed here, because the connection to the store was lost."""
        ...

    def revision_of(self, query: ViewQuery) -> int:
        """Return a number that differs from an earlier one if `view` may have another result than it had then.

        It is valid if it was read before the call of `view`. Within 250 ms of a change, on whichever node, it differs.
        """
        ...

    async def view(self, query: ViewQuery, visible: Callable[[str], bool] | None = None) -> ViewPage:
        """Return the page of a view, as `groups` and `users` would; with `visible`, without a count.

        Raises:
            CommandError: ``UNAVAILABLE``.
        """
        ...

    async def count(self) -> tuple[int, int]:
        """Return how many groups and how many connections there are, on all nodes."""
        ...


class ImmediateBackend(Backend, Protocol):
    """A backend whose methods never wait."""

    def publish_now(self, message: Message, key: str | None = None, least: int = 0) -> int:
        """Do what `publish` does, as a plain call: posts are the hot path, where a coroutine would cost most."""
        ...


class PublishSoon(Protocol):
    """The signature of `PipelinedBackend.publish_soon`."""

    def __call__(
        self, message: Message, done: Callable[[int | CommandError], object], key: str | None = None, least: int = 0
    ) -> None:
        """Publish `message`, and call `done` with the result."""
        ...


class PipelinedBackend(Backend, Protocol):
    """A backend whose methods wait for a store, and that takes a post as a plain call."""

    def publish_soon(
        self, message: Message, done: Callable[[int | CommandError], object], key: str | None = None, least: int = 0
    ) -> None:
        """Do what `publish` does without a coroutine or a task: posts are the hot path.

        `done` is called once, in a later turn of the loop, with what `publish` returns or raises. What the store did
        for earlier posts of this node is delivered here before. Raises `CommandError` if it fails at once; then `done`
        is not called.
        """
        ...
