"""Operations that need no connection: listings, posts by servers, disconnecting users. The HTTP API calls them."""

from __future__ import annotations

import msgspec

from hubbub.auth.bans import MAX_BAN
from hubbub.auth.identity import Identity
from hubbub.backends.base import Backend
from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.groups.cursors import FIELD as SEALED
from hubbub.groups.cursors import Cursors
from hubbub.groups.directory import parse_query
from hubbub.groups.roster import parse_user_query
from hubbub.limits import check_key, check_message, check_name
from hubbub.messages import Groups, Message, Page, Private, Success, Users, sent
from hubbub.settings import Settings


class Services:
    """The operations. Each takes the caller's identity, and raises `CommandError` for missing rights or bad input.

    Args:
        settings: The limits.
        backend: Carries them out, on all nodes.
        counters: Counts messages and deliveries.
        cursors: Encrypts cursors that may stand at a group which the reader must not see.
    """

    def __init__(self, settings: Settings, backend: Backend, counters: Counters, cursors: Cursors) -> None:
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
        self, identity: Identity, group: str, message: msgspec.Raw, key: str | None, min_recipients: int | None
    ) -> Success:
        """Post as a server: without being a member, and with ``sender_cid`` null. `identity` needs the server role.

        `key` and `min_recipients` are those of `hubbub.messages.Post`.
        """
        identity.require_server()
        check_name("group", group, self._settings.max_group_name)
        identity.require_group(group)
        identity.require_post(group)
        check_message(message, self._settings.max_message, self._settings.max_depth)
        check_key(key, min_recipients)
        return await self.publish(Message(message, identity.user_id, None, group, 0), key, min_recipients or 0)

    async def post_to_user(
        self, identity: Identity, user_id: str, message: msgspec.Raw, key: str | None, min_recipients: int | None
    ) -> Success:
        """Post to every connection of a user, as a server; see `post_to_group`. `identity` must allow private posts."""
        identity.require_server()
        identity.require_private()
        check_name("user_id", user_id, self._settings.max_user_id)
        check_message(message, self._settings.max_message, self._settings.max_depth)
        check_key(key, min_recipients)
        private = Private(message, identity.user_id, None)
        return sent(await self._backend.post_to_user(user_id, private, key, min_recipients or 0))

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

    async def publish(self, message: Message, key: str | None = None, least: int = 0) -> Success:
        """Publish a message that was checked, and return the reply for its sender."""
        recipients = await self._backend.publish(message, key, least)
        self.counters.published += 1
        self.counters.delivered += recipients
        return sent(recipients)
