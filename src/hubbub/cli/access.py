"""Which server, and as whom: the options of every command that talks to one."""

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

from hubbub.client import Client, Event, Reconnecting, connect
from hubbub.client.reconnect_policy import is_loopback, socket_url
from hubbub.errors import CommandError, ErrorCode, SettingsError

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = 10.0
"""Seconds that any answer may take."""
WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the attempts when the server says that this was too much at once."""

_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""RFC 7515, section 7.1: three parts in base64url."""

Url = Annotated[str | None, Parameter(env_var="HUBBUB_URL", metavar="URL", show_default=lambda _: DEFAULT_URL)]

T = TypeVar("T")


class Credentials(TypedDict, total=False):
    """What `hubbub.client.connect` wants to know: one of the two."""

    token: str
    guest: str


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Access:
    """Where the server is, and who we are to it."""

    url: Url = None
    """The server."""
    token: str | None = field(default=None, repr=False)
    """A token that says who you are. Others on this machine may see flags: prefer HUBBUB_TOKEN in the environment."""
    guest: Annotated[str | None, Parameter(name=["--as", "--guest"], metavar="NAME")] = None
    """Come as a guest, where the server lets guests in. Without it and without a token: as your login name."""

    @property
    def address(self) -> str:
        """The server's address. Raises `SettingsError` if it is none."""
        url = self.url or DEFAULT_URL
        try:
            socket_url(url)
        except CommandError as error:
            raise SettingsError(f"--url (HUBBUB_URL): {error.message}") from None
        return url

    def credentials(self) -> Credentials:
        """Return who we are; flags win over the environment.

        Raises:
            SettingsError: Both were given, or a token that cannot be one. It is not repeated in the text.
        """
        if self.token is not None and self.guest is not None:
            raise SettingsError("--token and --as exclude each other: a token says by itself who you are")
        if self.guest is not None:
            return {"guest": self.guest}
        token = self.token if self.token is not None else os.environ.get("HUBBUB_TOKEN") or None
        if token is None:
            return {"guest": login_name()}
        if not _TOKEN.fullmatch(token.strip()):
            source = "--token" if self.token is not None else "HUBBUB_TOKEN"
            raise SettingsError(f'{source} is not a token; make one with "hubbub token NAME", or leave it out')
        return {"token": token.strip()}

    def server_token(self) -> str | None:
        """Return the token if it is one of a server program, which may post without being in a group.

        This only looks at what the token says; whether it is true is for the server to decide.
        """
        token = self.credentials().get("token")
        return token if token and _claims(token).get("role") == "server" else None


def _claims(token: str) -> dict[str, Any]:
    """Return what a token says (RFC 7519, section 3), unverified; nothing if that cannot be read."""
    payload = token.split(".")[1]
    try:
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def login_name() -> str:
    """Return who is logged in on this machine; ``guest`` where nobody is, as in some containers."""
    try:
        return getpass.getuser() or "guest"
    except (OSError, KeyError, ImportError):
        return "guest"


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Client]:
    """Connect for as long as the block lasts.

    A client tries for ever to reach its server. Somebody at a terminal rather wants to know, so the first attempt must
    succeed; a connection that is lost later comes back.

    Raises:
        CommandError: The server cannot be reached, or refuses.
        SettingsError: The address or the token is none.
    """
    client = connect(access.address, timeout=TIMEOUT, connect_timeout=None, **access.credentials())
    connecting = asyncio.ensure_future(client.connect_realtime())
    first = asyncio.ensure_future(_first_event(client))
    try:
        await asyncio.wait({connecting, first}, return_when=asyncio.FIRST_COMPLETED)
        if first.done() and isinstance(event := first.result(), Reconnecting):
            hint = ' Is a server running? "hubbub serve" starts one.' if is_loopback(access.address) else ""
            raise CommandError(ErrorCode.UNAVAILABLE, event.reason + hint)
        await connecting
        await first  # what has been waiting for it is not shown to those who read on
        yield client
    finally:
        first.cancel()
        connecting.cancel()
        await client.close_realtime()


async def _first_event(client: Client) -> Event:
    return await anext(aiter(client))


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what `ask` returns; ask again a little later when the server says that this was too much at once.

    Raises:
        CommandError: Any other answer, or still too much after `WAITS`.
    """
    for wait in WAITS:
        try:
            return await ask()
        except CommandError as error:
            if error.code != ErrorCode.RATE_LIMITED:
                raise
        await asyncio.sleep(wait)
    return await ask()
