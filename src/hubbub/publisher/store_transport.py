"""Carries out the calls of a publisher on the store of the nodes, by the code and with the checks of a node."""

from __future__ import annotations

from typing import Any

import msgspec

from hubbub.auth.identity import Identity
from hubbub.backends.valkey.address import Address, parse_address
from hubbub.backends.valkey.visit import StoreVisit
from hubbub.client.results import Page, Sent
from hubbub.counters import Counters
from hubbub.errors import CommandError, SettingsError, StoreError, invalid
from hubbub.groups.cursors import Cursors
from hubbub.messages import GroupRow, Groups, UserRow, Users
from hubbub.publisher.calls import Call, Disconnect, Post
from hubbub.publisher.retries import AttemptError
from hubbub.services import Services
from hubbub.settings import Settings

SENDER = "server"
"""The sender that recipients see unless the caller names another."""

_SCHEMES = ("valkey://", "valkeys://", "redis://", "rediss://")


class StoreTransport:
    """The store of the nodes, in one event loop.

    Args:
        address: Where the store is.

    Attributes:
        server: The address, for error texts; without the password.
    """

    def __init__(self, address: Address) -> None:
        self.server = str(address)
        self._identity = Identity(SENDER, server=True)
        self._visit = StoreVisit(address)
        # No cursor is encrypted: this identity may see all groups.
        self._services = Services(Settings(), self._visit, Counters(), Cursors())

    async def attempt(self, call: Call) -> Any:
        """Carry out a call. Raises `AttemptError`."""
        try:
            return await self._do(call)
        except StoreError as error:
            text = f"{error.message.removesuffix(' Try again.')} ({self.server}: {error.reason})"
            raise AttemptError(CommandError(error.code, text)) from error
        except CommandError as error:
            raise AttemptError(error) from None

    async def close(self) -> None:
        """Disconnect."""
        await self._visit.close()

    async def _do(self, call: Call) -> Any:
        services, identity = self._services, self._identity
        if isinstance(call, Post):
            post = services.post_to_group if call.kind == "group" else services.post_to_user
            done = await post(
                identity, call.to, call.message, call.key, call.min_recipients, call.sender, keep=call.keep
            )
            return Sent(done.message, done.recipients or 0)
        if isinstance(call, Groups):
            groups = await services.groups(identity, msgspec.structs.replace(call))
            return Page[GroupRow](groups.list, groups.start_key, groups.end_of_list)  # type: ignore[arg-type]
        if isinstance(call, Users):
            users = await services.users(identity, call)
            return Page[UserRow](users.list, users.start_key, users.end_of_list)  # type: ignore[arg-type]
        return await self._disconnect(call)

    async def _disconnect(self, call: Disconnect) -> int:
        if call.connection_id is not None:
            return await self._services.disconnect_connection(self._identity, call.connection_id)
        return await self._services.disconnect_user(self._identity, call.user_id or "", call.for_seconds)


def is_store(url: str) -> bool:
    """Whether `url` names a store rather than a server."""
    return url.lower().startswith(_SCHEMES)


def parse_store(url: str) -> Address:
    """Return the address of the store. Raises `CommandError` ``INVALID_PARAMETER``; the text has no password."""
    try:
        return parse_address(url)
    except SettingsError:
        text = (
            '"url" must look like valkey://host:6379/0, valkey://host:6379,other:6379 or rediss://user:password@host.'
        )
        raise invalid(text) from None
