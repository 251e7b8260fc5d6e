"""The contract between a node and what it shares with other nodes.

A backend knows who is in which group, keeps the directory, gives each message its place in its group's order, and
carries messages to the nodes that need them. Nodes attach a `Receiver`; the backend calls it for what their own
connections have to hear. The guarantees below are checked for every backend by one contract suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol

from hubbub.auth.bans import TicketUse
from hubbub.groups.directory import Query
from hubbub.groups.history import Replay
from hubbub.groups.roster import UserQuery
from hubbub.messages import Event, Gap, Message, Notice, Page, Position, Private, Signaled, UserRow


class Receiver(Protocol):
    """A node, as the backend sees it. Each call hands over to local connections only and must not fail."""

    def deliver(self, group: str, event: Event) -> int:
        """Hand a message, notice or gap to the local members of `group`; return how many connections that is."""
        ...

    def announce(self, group: str, event: Notice) -> int:
        """Hand a notice to the local members of `group` but the one that it is about; return how many that is."""
        ...

    def deliver_to_user(self, user_id: str, event: Private | Gap) -> int:
        """Hand a private message to the user's local connections; return how many that is."""
        ...

    def deliver_to_connection(self, connection_id: str, event: Signaled) -> int:
        """Hand a signal to a local connection; return 1, or 0 if it is not here."""
        ...

    def close_connections(self, user_id: str | None, connection_id: str | None) -> int:
        """Close the user's local connections, or the one connection; return how many that is."""
        ...


class Backend(Protocol):
    """Membership, directory and publishing, on one node or many.

    Every method may raise `CommandError` with ``UNAVAILABLE`` when the store does not answer; then nothing was done, or
    the caller could not be told, and the backend puts it right by itself. Names are taken as already checked.
    """

    immediate: ClassVar[bool]
    """True if no method ever waits: then the node runs commands to their end at once, without a task for each, and
    posts through `ImmediateBackend.publish_now`."""

    shared: ClassVar[bool]
    """Whether there can be other nodes, to which connections can go when this one stops."""

    @property
    def notices(self) -> int:
        """How many notices it has made, since the process started; for the metrics."""
        ...

    def attach(self, receiver: Receiver) -> None:
        """Make `receiver` hear what its connections have to hear. Called once per node, before anything else."""
        ...

    async def start(self) -> None:
        """Open what the backend needs. Raises `UNAVAILABLE` if the store cannot be reached."""
        ...

    async def close(self) -> None:
        """Release everything; the node's own connections were disconnected before."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the store answers, as far as is known now."""
        ...

    async def connect(
        self, user: UserRow, most: int, since: Position | None = None, ticket: TicketUse | None = None
    ) -> Replay:
        """Count a new connection of a user, and return the private messages after `since`, if that is given.

        Where they end, what is delivered begins: see `join`. A `ticket`, if the user came with one, is used up by it.

        Raises:
            CommandError: Nothing was counted: ``FORBIDDEN``, the user is kept out (`disconnect_user`);
                ``INVALID_REQUEST``, the user has `most` connections already; ``UNAUTHORIZED``, the ticket was used
                before, or the user was disconnected since it was issued.
        """
        ...

    async def remove_connection(self, user: UserRow) -> None:
        """Take a connection that is gone out of everything; its group, if any, hears ``USER_DISCONNECTED``, once.

        Unknown connections are ignored, so that it can be repeated. Never raises: if the store does not answer, it is
        done when it does.
        """
        ...

    async def send_off(self, users: Iterable[UserRow]) -> None:
        """Expect connections of this node back that are about to be sent away; called before they are told.

        Their going is not announced. If a connection of the same user comes to the same group within the absence that
        the window allows, on any node, that is not announced either; once for each that was sent off. Of who stays
        away for longer the group hears ``USER_DISCONNECTED``. Lists and numbers say meanwhile who is there.
        """
        ...

    async def shared_secret(self) -> bytes | None:
        """Return a secret that all nodes have in common, and nobody else; None unless `shared`.

        Raises `CommandError` ``UNAVAILABLE``.
        """
        ...

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        """Move a connected connection into `group`, in one step, and return the position of the last message there.

        With `since`, the answer holds every later message of the group, in order, or says that there is a gap; without
        it, or with a gap, the last `history` messages. The seam: its last message is the last one that this node's
        receiver has been given when the call returns, so that a caller who then goes on without waiting, and lets the
        connection hear what is delivered from now on, leaves no hole and hears nothing twice. Groups keep their history
        and their numbers for the window after the last member left; the epoch changes when continuity cannot be proven.

        The members of the group before hear ``USER_LEFT``, the other members of the new one ``USER_JOINED``; each
        notice carries how many connections of that user the group now has. Joining the same group again changes
        nothing and announces nothing. The directory answers with the new numbers from then on.
        """
        ...

    async def leave(self, user: UserRow) -> None:
        """Take the connection out of its group; the others hear ``USER_LEFT``. Without a group nothing happens."""
        ...

    async def publish(self, message: Message, key: str | None = None, least: int = 0) -> int:
        """Give `message` the next ``seq`` of its group ``sender_rid`` and hand it to every member on every node.

        All members hear the messages of a group in the order of their ``seq``. Returns how many connections it was
        handed to; 0 if the group does not exist. When it returns, the message is in the history.

        Args:
            message: Its ``seq`` is set here.
            key: If the same sender used it for this group within the window, nothing is delivered, and the first result
                is returned.
            least: Raise ``INVALID_REQUEST``, and deliver nothing, if fewer connections are members.
        """
        ...

    async def post_to_user(self, user_id: str, message: Private, key: str | None = None, least: int = 0) -> int:
        """Hand `message` to every connection of the user, on every node; return how many that is.

        `key` and `least` are as in `publish`. It goes to the user's inbox as well, which stays for the window after the
        last connection went; nothing is kept for users who were not there.
        """
        ...

    async def signal(self, connection_id: str, event: Signaled) -> int:
        """Hand `event` to one connection, on whichever node it is; return 1, or 0 if there is none."""
        ...

    async def connected(self, user_id: str) -> bool:
        """Whether the user has a connection on any node."""
        ...

    async def disconnect_user(self, user_id: str, for_seconds: float | None = None) -> int:
        """Close all connections of the user, on every node; return how many were told to go.

        The user's tickets are no longer accepted. With `for_seconds`, at most `hubbub.auth.bans.MAX_BAN`, the user
        cannot connect to any node for so long, counted from now whatever was said before; 0 ends that, None leaves it
        as it is. A node that could not be told, because its way to the store was interrupted, closes the connections
        of those who are kept out when it is back.

        Raises:
            CommandError: ``INVALID_REQUEST``, `hubbub.auth.bans.MAX_BANS` users are kept out already; nothing was done.
        """
        ...

    async def disconnect_connection(self, connection_id: str) -> int:
        """Close one connection, on whichever node it is; return 1, or 0 if there is none."""
        ...

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Return one page of the directory; with `visible`, only groups for which it is true."""
        ...

    async def users(self, group: str, query: UserQuery) -> Page:
        """Return one page of the connections in `group`, ordered by user and connection; empty for unknown groups."""
        ...

    async def count(self) -> tuple[int, int]:
        """Return how many groups and how many connections there are, on all nodes."""
        ...


class ImmediateBackend(Backend, Protocol):
    """A backend whose methods never wait."""

    def publish_now(self, message: Message, key: str | None = None, least: int = 0) -> int:
        """Do what `publish` does, as a plain call: posts are the hot path, and a coroutine costs more than the rest."""
        ...
