"""Operations that need no connection: listings, posts by servers, disconnecting users. The HTTP API calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from hubbub.auth.bans import MAX_BAN
from hubbub.auth.identity import Identity
from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.groups.cursors import FIELD as SEALED
from hubbub.groups.cursors import Cursors
from hubbub.groups.directory import Query, parse_query
from hubbub.groups.roster import UserQuery, parse_user_query
from hubbub.limits import MAX_KEY, check_key, check_message, check_name
from hubbub.messages import Groups, Message, Page, Private, Success, Users, sent
from hubbub.settings import Settings


class Store(Protocol):
    """The part of `hubbub.backends.base.Backend` that needs no connection; its docstrings are the contract."""

    async def publish(self, message: Message, key: str | None = None, least: int = 0) -> int:
        """See `hubbub.backends.base.Backend.publish`."""
        ...

    async def post_to_user(self, user_id: str, message: Private, key: str | None = None, least: int = 0) -> int:
        """See `hubbub.backends.base.Backend.post_to_user`."""
        ...

    async def disconnect_user(self, user_id: str, for_seconds: float | None = None) -> int:
        """See `hubbub.backends.base.Backend.disconnect_user`."""
        ...

    async def disconnect_connection(self, connection_id: str) -> int:
        """See `hubbub.backends.base.Backend.disconnect_connection`."""
        ...

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """See `hubbub.backends.base.Backend.groups`."""
        ...

    async def users(self, group: str, query: UserQuery) -> Page:
        """See `hubbub.backends.base.Backend.users`."""
        ...


class Services:
    """The operations. Each takes the caller's identity, and raises `CommandError` for missing rights or bad input.

    Args:
        settings: The limits.
        backend: Carries them out, on all nodes.
        counters: Counts messages and deliveries.
        cursors: Encrypts cursors that may stand at a group which the reader must not see.
    """

    def __init__(self, settings: Settings, backend: Store, counters: Counters, cursors: Cursors) -> None:
        self._settings = settings
        self._backend = backend
        self.counters = counters
        self._cursors = cursors

    async def groups(self, identity: Identity, command: Groups) -> Page:
        """Return a page of the groups that `identity` may join. Raises `CommandError` for a wrong query."""
        visible, reader, order = identity.visible, identity.user_id, command.search_for
        start_key = command.start_key
        if isinstance(start_key, dict) and (visible is not None or SEALED in start_key):
            command.start_key = self._cursors.open(start_key, reader, order)
        page = await self._backend.groups(parse_query(command, self._settings.max_page), visible)
        if visible is not None and isinstance(page.start_key, dict):
            page.start_key = self._cursors.seal(page.start_key, reader, order)
        return page

    async def users(self, identity: Identity, command: Users, own_group: str | None = None) -> Page:
        """Return a page of the connections in ``command.group``, or in `own_group` if it names none."""
        query = parse_user_query(command, self._settings.max_page)
        group = own_group if command.group is None else command.group
        if group is None:
            raise CommandError(ErrorCode.INVALID_REQUEST, '"group" is missing, and you are in no group: name one.')
        check_name("group", group, self._settings.max_group_name)
        identity.require_group(group)
        return await self._backend.users(group, query)

    async def post_to_group(
        self,
        identity: Identity,
        group: str,
        message: msgspec.Raw,
        key: str | None,
        min_recipients: int | None,
        sender: str | None = None,
    ) -> Success:
        """Post as a server: without being a member, and with ``sender_cid`` null. `identity` needs the server role.

        `key` and `min_recipients` are those of `hubbub.messages.Post`. `sender` is the user id that recipients see; by
        default that of `identity`.
        """
        identity.require_server()
        check_name("group", group, self._settings.max_group_name)
        identity.require_group(group)
        identity.require_post(group)
        check_message(message, self._settings.max_message, self._settings.max_depth)
        check_key(key, min_recipients)
        shown, kept = self.posted_as(identity, sender, key)
        return await self.publish(Message(message, shown, None, group, 0), kept, min_recipients or 0)

    async def post_to_user(
        self,
        identity: Identity,
        user_id: str,
        message: msgspec.Raw,
        key: str | None,
        min_recipients: int | None,
        sender: str | None = None,
    ) -> Success:
        """Post to every connection of a user, as a server; see `post_to_group`. `identity` must allow private posts."""
        identity.require_server()
        identity.require_private()
        check_name("user_id", user_id, self._settings.max_user_id)
        check_message(message, self._settings.max_message, self._settings.max_depth)
        check_key(key, min_recipients)
        shown, kept = self.posted_as(identity, sender, key)
        return sent(await self._backend.post_to_user(user_id, Private(message, shown, None), kept, min_recipients or 0))

    async def disconnect_user(self, identity: Identity, user_id: str, for_seconds: float | None = None) -> int:
        """Close every connection of a user with 4003; return how many. `identity` needs the server role.

        With `for_seconds` the user is banned for so long: no token, name or ticket is accepted on any node. 0 ends a
        ban, and None leaves it as it is.

        Raises:
            CommandError: ``INVALID_PARAMETER``, `for_seconds` is not 0 to `MAX_BAN`; ``INVALID_REQUEST``, too many
                users are banned already. Nobody was disconnected then.
        """
        identity.require_server()
        if for_seconds is not None and not 0 <= for_seconds <= MAX_BAN:
            raise invalid(f'"for" must be 0 to {MAX_BAN} seconds, not {for_seconds:g}.')
        return await self._backend.disconnect_user(user_id, for_seconds)

    async def disconnect_connection(self, identity: Identity, connection_id: str) -> int:
        """Close one connection with 4003; return 1, or 0 if there is none. `identity` needs the server role."""
        identity.require_server()
        return await self._backend.disconnect_connection(connection_id)

    def posted_as(self, identity: Identity, sender: str | None, key: str | None) -> tuple[str, str | None]:
        """Return the sender that recipients see, and the key under which the post is remembered.

        A store keeps the keys of each sender apart. A server that posts as somebody else gets keys that this user
        cannot use up: they are longer than any key that a client may send.

        Raises `CommandError` ``INVALID_PARAMETER`` for a sender that is empty or too long.
        """
        if sender is None or sender == identity.user_id:
            return identity.user_id, key
        check_name("sender", sender, self._settings.max_user_id)
        own = f"{len(identity.user_id)}:{identity.user_id}"  # with its length, so that no two are the same text
        return sender, None if key is None else "\0" * (MAX_KEY + 1) + own + key

    async def publish(self, message: Message, key: str | None = None, least: int = 0) -> Success:
        """Publish a message that was checked, and return the reply for its sender."""
        recipients = await self._backend.publish(message, key, least)
        self.counters.published += 1
        self.counters.delivered += recipients
        return sent(recipients)
