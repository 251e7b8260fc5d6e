"""What a program does with a hub: post, listen, list groups and users, disconnect. No hook runs for what it posts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

from hubbub.auth.identity import Identity
from hubbub.auth.patterns import compile_patterns
from hubbub.client.live import LiveQuery
from hubbub.client.results import Page, Sent
from hubbub.errors import HubError, invalid
from hubbub.feed import Follower
from hubbub.groups.feed import FeedEvent, Wanted
from hubbub.hub.convert import encode_message
from hubbub.hub.identities import text_id
from hubbub.hub.lifecycle import Lifecycle
from hubbub.hub.listener import Listeners, Listening
from hubbub.hub.live import HubWatches
from hubbub.limits import check_key, check_message, check_name
from hubbub.messages import Condition, GroupRow, Groups, Message, Order, Private, Success, UserRow, Users, Watch
from hubbub.node import Node
from hubbub.settings import Settings

_PROGRAM = Identity("server", server=True)
"""The program: it sees every group, and may disconnect users."""

Id = str | int | UUID
"""An id of the program: numbers and UUIDs become text."""


class Operations:
    """The operations of a hub. The first of them starts it, if no lifespan has.

    Raises:
        HubError: From each of them: the hub was stopped, or runs in another event loop or thread.
        CommandError: With the code and the text that a client would get: a name, key or message is outside the limits
            (``INVALID_PARAMETER``, ``TOO_LARGE``), or the store does not answer (``UNAVAILABLE``).
        TypeError: An id or a message has a type that cannot be sent.
    """

    settings: Settings
    _lifecycle: Lifecycle
    _listeners: tuple[Node, Listeners] | None = None
    _live: HubWatches | None = None

    async def post(
        self,
        group: str,
        message: Any,
        *,
        sender: Id = "server",
        key: Id | None = None,
        min_recipients: int | None = None,
        keep: bool = True,
    ) -> Sent:
        """Post to a group. No hook sees it.

        Args:
            group: The name of the group.
            message: Plain JSON, a msgspec Struct, a dataclass or a pydantic model.
            sender: The user id that members see as the sender.
            key: Posts of programs with the same key, sender and group are delivered once, within ``history_age``. A
                client that posts with the same key is not affected.
            min_recipients: Raise `CommandError` ``INVALID_REQUEST``, and deliver nothing, if fewer connections would
                receive it.
            keep: If false, the message is for connected clients only, such as "bob is typing": it has no number, it is
                in no history, and nobody gets it later. It has no `key`.

        Returns:
            What was sent: ``sent.recipients`` is how many connections it was delivered to.
        """
        node = await self._lifecycle.node()
        check_name("group", _text("group", group), node.settings.max_group_name)
        raw, user_id, text = self._checked(node, message, sender, key, min_recipients, keep=keep)
        posted = Message(raw, user_id, None, group, 0)
        done = await node.services.publish(posted, text, min_recipients or 0, keep=keep)
        return _sent(done)

    async def post_to_user(
        self,
        user_id: Id,
        message: Any,
        *,
        sender: Id = "server",
        key: Id | None = None,
        min_recipients: int | None = None,
        keep: bool = True,
    ) -> Sent:
        """Post to all connections of a user, on every worker. The arguments are those of `post`."""
        node = await self._lifecycle.node()
        to = text_id("user_id", user_id)
        check_name("user_id", to, node.settings.max_user_id)
        raw, by, text = self._checked(node, message, sender, key, min_recipients, keep=keep)
        private = Private(raw, by, None)
        recipients = await node.backend.post_to_user(to, private, text, min_recipients or 0, keep=keep)
        return Sent("Message sent.", recipients)

    async def groups(
        self,
        search_for: Order = "group",
        value: str | float | None = None,
        condition: Condition | None = None,
        range: str | float | None = None,  # noqa: A002  (the name in the protocol)
        *,
        limit: int | None = None,
        ascending: bool = True,
        start_key: dict[str, Any] | str | None = None,
    ) -> Page[GroupRow]:
        """Return a page of the groups. The parameters are those of `hubbub.Client.get_realtime_groups`."""
        node = await self._lifecycle.node()
        command = Groups(
            search_for=search_for,
            value=value,
            condition=condition,
            range=range,
            limit=limit,
            ascending=ascending,
            start_key=start_key,
        )
        page = await node.services.groups(_PROGRAM, command)
        return Page(page.list, page.start_key, page.end_of_list)  # type: ignore[arg-type]  # rows of groups

    async def users(
        self,
        group: str,
        user_id: Id | None = None,
        *,
        limit: int | None = None,
        ascending: bool = True,
        start_key: dict[str, Any] | str | None = None,
    ) -> Page[UserRow]:
        """Return a page of the connections in a group, or of those of one user in it."""
        node = await self._lifecycle.node()
        only = None if user_id is None else text_id("user_id", user_id)
        command = Users(
            group=_text("group", group), user_id=only, limit=limit, ascending=ascending, start_key=start_key
        )
        page = await node.services.users(_PROGRAM, command)
        return Page(page.list, page.start_key, page.end_of_list)  # type: ignore[arg-type]  # rows of users

    async def disconnect(
        self, user_id: Id | None = None, *, connection_id: str | None = None, for_seconds: float | None = None
    ) -> int:
        """Close all connections of a user, or one connection, on every worker; return how many.

        Args:
            user_id: Whose connections.
            connection_id: The one connection, instead of `user_id`.
            for_seconds: Nothing lets the user in again for so long, at most a week: no token, whenever it was issued,
                and no hook. 0 ends that; None leaves it as it is.

        Raises:
            CommandError: ``INVALID_PARAMETER``, not exactly one of `user_id` and `connection_id`, or `for_seconds` is
                out of its range or given with `connection_id`.
        """
        node = await self._lifecycle.node()
        if (user_id is None) == (connection_id is None):
            raise invalid("disconnect needs exactly one of user_id and connection_id.")
        if user_id is not None:
            whose = text_id("user_id", user_id)
            check_name("user_id", whose, node.settings.max_user_id)
            return await node.services.disconnect_user(_PROGRAM, whose, for_seconds)
        if for_seconds is not None:
            raise invalid("for_seconds keeps a user out: give a user_id, not a connection_id.")
        return await node.services.disconnect_connection(_PROGRAM, _text("connection_id", connection_id))

    async def events(
        self, since: str | None = None, *, users: bool = True, groups: bool = True, group: str | None = None
    ) -> AsyncIterator[FeedEvent]:
        """Follow who comes and who leaves, on all workers: ``async for event in hub.events(since=cursor)``.

        Args:
            since: The ``cursor`` of the last event that was handled; ``"start"`` for a snapshot first; None for what
                happens from now on.
            users: Whether to get ``user_*`` and ``member_*``.
            groups: Whether to get ``group_*``.
            group: A pattern such as ``"team-*"``: only events of groups with such a name.

        Yields:
            The events that ``GET /v1/events`` has, those about the feed itself included.

        Raises:
            CommandError: ``INVALID_PARAMETER``, `since` is no cursor; ``UNAVAILABLE``, the store does not answer now.
            HubError: The hub was stopped.
        """
        node = await self._lifecycle.node()
        matches = None if group is None else compile_patterns((_text("group", group),)).match
        follower = Follower(node.backend.feed, since, Wanted(users, groups, matches), lambda: node.draining, node.now)
        async with aclosing(follower.events()) as pieces:
            async for piece in pieces:
                for event in piece:
                    yield event
        raise HubError("The hub was stopped while its feed was read.")

    def listen(self, group: str, *, max_messages: int = 1000) -> Listening:
        """Hear a group on whichever worker its messages are posted: ``async with hub.listen("kitchen") as messages``.

        The listener is no member: it is in no list and no count, and nobody is told of it. It hears every message that
        is posted while the block runs, also when the group has no members.

        Args:
            group: The name of the group.
            max_messages: Most messages that wait to be taken (and 8 MiB). If a listener falls further behind, it gets
                those that wait and then a `CommandError` ``TOO_LARGE``; no message is skipped silently.

        Returns:
            For ``async with``, what gives an async iterator of `hubbub.client.Message`, with ``message``, ``sender``,
            ``sender_cid``, ``sender_rid`` (the group) and ``seq``.
        """
        check_name("group", _text("group", group), self.settings.max_group_name)
        if max_messages < 1:
            raise invalid(f'"max_messages" must be at least 1, not {max_messages}.')
        return Listening(self._listeners_of_node, group, max_messages)

    def watch_groups(
        self,
        search_for: Order | None = None,
        value: str | float | None = None,
        condition: Condition | None = None,
        range: str | float | None = None,  # noqa: A002  (the name in the protocol)
        *,
        groups: Sequence[str] | None = None,
        limit: int | None = None,
        ascending: bool = True,
        every: float | None = None,
    ) -> LiveQuery[GroupRow]:
        """Watch a listing of groups: ``async with hub.watch_groups(…) as lobby: async for change in lobby``.

        The parameters are those of `hubbub.Client.watch_realtime_groups`. The query is evaluated on this node, and
        counts among its views. When the hub stops, ``async for`` raises a `HubError`.
        """
        return self._watches().groups(
            Watch(
                "groups",
                every=None if every is None else every * 1000,
                groups=None if groups is None else list(groups),
                search_for=search_for,
                value=value,
                condition=condition,
                range=range,
                limit=limit,
                ascending=ascending,
            )
        )

    def watch_users(
        self,
        group: str,
        user_id: Id | None = None,
        *,
        limit: int | None = None,
        ascending: bool = True,
        every: float | None = None,
    ) -> LiveQuery[UserRow]:
        """Watch the connections in a group, or those of one user in it, as `watch_groups` watches groups."""
        only = None if user_id is None else text_id("user_id", user_id)
        milliseconds = None if every is None else every * 1000
        name = _text("group", group)
        return self._watches().users(
            Watch("users", every=milliseconds, group=name, user_id=only, limit=limit, ascending=ascending)
        )

    # --- inside ---

    def _watches(self) -> HubWatches:
        if self._live is None:
            self._live = HubWatches(self._lifecycle.node, _PROGRAM)
        return self._live

    async def _listeners_of_node(self) -> Listeners:
        node = await self._lifecycle.node()
        if self._listeners is None or self._listeners[0] is not node:
            listeners = Listeners(node.backend)
            node.before_close.append(listeners.end)
            self._listeners = node, listeners
        return self._listeners[1]

    @staticmethod
    def _checked(
        node: Node, message: Any, sender: Id, key: Id | None, min_recipients: int | None, *, keep: bool
    ) -> tuple[Any, str, str | None]:
        """Return the message as JSON, the sender, and the key as it is kept, all within the limits."""
        settings = node.settings
        raw = encode_message(message)
        check_message(raw, settings.max_message, settings.max_depth)
        text = None if key is None else text_id("key", key)
        check_key(text, min_recipients, keep=keep)
        shown, kept = node.services.posted_as(_PROGRAM, text_id("sender", sender), text)
        return raw, shown, kept


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{field} must be text, not {type(value).__name__}")
    return value


def _sent(done: Success) -> Sent:
    return Sent(done.message, done.recipients or 0)
