"""The server's address and the user's identity: the options of every command that connects to a server."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict, TypeVar

from cyclopts import Parameter

from hubbub.cli.guest_key import guest_key
from hubbub.client import Client, Event, Reconnecting, connect
from hubbub.client.reconnect_policy import is_loopback, socket_url
from hubbub.errors import CommandError, ErrorCode, SettingsError

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = 10.0
"""Seconds that any answer may take."""
RETRY_DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt when the server answers that the rate limit was exceeded."""

_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""RFC 7515, section 7.1: three parts in base64url."""

Url = Annotated[str | None, Parameter(env_var="HUBBUB_URL", metavar="URL", show_default=lambda _: DEFAULT_URL)]

T = TypeVar("T")


class Credentials(TypedDict, total=False):
    """What `hubbub.client.connect` needs: a token, or a guest name and perhaps its key."""

    token: str
    guest: str
    guest_key: str


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Access:
    """The server's address, and the identity to connect with."""

    url: Url = None
    """Address of the server."""
    token: str | None = field(default=None, repr=False)
    """Token that identifies you. Other users of this machine can see flags: prefer HUBBUB_TOKEN in the environment."""
    guest: Annotated[str | None, Parameter(name=["--as", "--guest"], metavar="NAME")] = None
    """Connect as a guest with this name, where the server accepts guests. Default, without a token: your login name."""
    guest_key: str | None = field(default=None, repr=False)
    """Key of the guest name, if other programs use it too. Default: the same for all your commands on this machine."""

    @property
    def address(self) -> str:
        """The server's address. Raises `SettingsError` if it is not a valid one."""
        url = self.url or DEFAULT_URL
        try:
            socket_url(url)
        except CommandError as error:
            raise SettingsError(f"--url (HUBBUB_URL): {error.message}") from None
        return url

    def credentials(self) -> Credentials:
        """Return the identity to connect with; flags take precedence over the environment.

        Raises:
            SettingsError: Both were given, or the token is malformed. The text does not repeat the token.
        """
        if self.token is not None and self.guest is not None:
            raise SettingsError("--token and --as exclude each other: a token already identifies you")
        if self.guest is not None:
            return self._as_guest(self.guest)
        token = self.token if self.token is not None else os.environ.get("HUBBUB_TOKEN") or None
        if token is None:
            return self._as_guest(login_name())
        if not _TOKEN.fullmatch(token.strip()):
            source = "--token" if self.token is not None else "HUBBUB_TOKEN"
            raise SettingsError(f'{source} is not a token; make one with "hubbub token NAME", or leave it out')
        return {"token": token.strip()}

    def _as_guest(self, name: str) -> Credentials:
        key = self.guest_key or os.environ.get("HUBBUB_GUEST_KEY") or guest_key(self.address)
        return {"guest": name} if key is None else {"guest": name, "guest_key": key}

    def server_token(self) -> str | None:
        """Return the token if its role is "server": such a program may post without being in a group.

        This only reads the token; the server verifies it.
        """
        token = self.credentials().get("token")
        return token if token and _claims(token).get("role") == "server" else None


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a token (RFC 7519, section 3), unverified; none if they cannot be read."""
    payload = token.split(".")[1]
    try:
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def login_name() -> str:
    """Return the login name of this process's user; ``guest`` where there is none, as in some containers."""
    try:
        return getpass.getuser() or "guest"
    except (OSError, KeyError, ImportError):
        return "guest"


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Client]:
    """Connect for as long as the block lasts.

    A client retries indefinitely. At a terminal an error is more useful, so here the first attempt must succeed; the
    client still reconnects when the connection is lost later.

    Raises:
        CommandError: The server cannot be reached, or refuses the connection.
        SettingsError: The address or the token is not a valid one.
    """
    client = connect(access.address, timeout=TIMEOUT, connect_timeout=None, **access.credentials())
    connecting = asyncio.ensure_future(client.connect_realtime())
    first = asyncio.ensure_future(_first_event(client))
    try:
        await asyncio.wait({connecting, first}, return_when=asyncio.FIRST_COMPLETED)
        if first.done() and isinstance(event := first.result(), Reconnecting):
            absent = event.reason.startswith("Cannot connect to ") and is_loopback(access.address)
            hint = ' Is a server running? "hubbub serve" starts one.' if absent else ""
            raise CommandError(ErrorCode.UNAVAILABLE, event.reason + hint)
        await connecting
        await first  # our caller need not see this event
        yield client
    finally:
        first.cancel()
        connecting.cancel()
        await client.close_realtime()


async def _first_event(client: Client) -> Event:
    return await anext(aiter(client))


async def retry_rate_limited(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what `ask` returns; retry after a delay when the server answers that the rate limit was exceeded.

    Raises:
        CommandError: Any other error, or the rate limit still applies after the last of `RETRY_DELAYS`.
    """
    for delay in RETRY_DELAYS:
        try:
            return await ask()
        except CommandError as error:
            if error.code != ErrorCode.RATE_LIMITED:
                raise
        await asyncio.sleep(delay)
    return await ask()
