"""``TestHub``: a hub in the process of a test, without sockets and on a virtual clock."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp

from hubbub.auth.authenticator import make_token
from hubbub.client.wire import Command, connect_command
from hubbub.errors import HubError
from hubbub.hub.hub import Hub
from hubbub.testing.client_socket import websocket_scope
from hubbub.testing.refusal import Refusal
from hubbub.testing.run import Run
from hubbub.testing.user import TestUser


class TestHub:
    """A hub in the process of an async test: ``async with TestHub() as hub:``.

    Everything but the sockets and the clock is real: commands, rights, limits, hooks and errors. The clock stands still
    while code runs, and jumps while the test waits for the hub.

    Args:
        app_hub: The `hubbub.Hub` of an app, with its hooks. None for a new one that accepts guests and tokens.
        app: The app that `app_hub` is mounted in. With it, its lifespan runs, and users connect through its middleware,
            so that ``on_connect`` finds the session of a cookie.
        at: The path at which `app_hub` is mounted in `app`.
        settings: For a new hub, the fields of `hubbub.Settings`, such as ``max_message=1000``.

    Attributes:
        app_hub: The `hubbub.Hub` under test, for code that posts with one.

    Raises:
        SettingsError: A setting is unknown, or its value is not allowed.
        HubError: `settings` for the hub of an app, or an `app` without its hub.
    """

    __test__ = False  # for pytest, which collects classes with such a name

    def __init__(
        self, app_hub: Hub | None = None, /, *, app: ASGIApp | None = None, at: str = "/realtime", **settings: Any
    ) -> None:
        if app_hub is not None and settings:
            raise HubError(f"The hub of an app has its own settings: set {', '.join(settings)} where it is made.")
        if app_hub is None and app is not None:
            raise HubError("Name the hub of the app too: TestHub(hub, app=app).")
        self.app_hub = app_hub or Hub(**{"guests": True, "secret": secrets.token_hex(32), **settings})
        self._run = Run(self.app_hub, app)
        self._app: ASGIApp = self.app_hub if app is None else app
        self._path = "/v1/connect" if app is None else at.rstrip("/") + "/v1/connect"
        self._guest_key = secrets.token_urlsafe(16)

    async def __aenter__(self) -> Self:
        """Begin. The hub starts when it is first used.

        Raises:
            HubError: The hub runs already, or is tested by another `TestHub`.
        """
        self._run.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections, as a server does that stops, and stop the hub; with `app`, end its lifespan."""
        await self._run.end()

    # --- users ---

    async def guest(self, name: str, *, join: str | None = None, guest_key: str | None = None) -> TestUser:
        """Connect a guest.

        Args:
            name: Its name.
            join: A group to join.
            guest_key: What others need to use the name too; by default the same for all guests of this hub.

        Raises:
            CommandError: The hub refuses the connection or the join.
        """
        command = connect_command({"guest": name, "guest_key": guest_key or self._guest_key})
        return await self._connect(command, join=join)

    async def user(
        self,
        user_id: str,
        *,
        join: str | None = None,
        ttl: float = 3600,
        groups: Sequence[str] | None = None,
        post: Sequence[str] | None = None,
        private: bool = True,
        invisible: bool = False,
        server: bool = False,
    ) -> TestUser:
        """Connect a user with a token. The arguments but `join` are those of `token`.

        Raises:
            CommandError: The hub refuses the connection or the join.
            HubError: The hub has no secret.
        """
        token = await self.token(
            user_id, ttl=ttl, groups=groups, post=post, private=private, invisible=invisible, server=server
        )
        return await self._connect(connect_command({"token": token}), join=join)

    async def connect(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
        join: str | None = None,
    ) -> TestUser:
        """Connect a client as the app identifies it, in ``on_connect``, or by a `token`.

        Args:
            headers: Of the opening handshake, such as ``{"Origin": "https://example.com"}``.
            cookies: The same for its cookies; those of Starlette's ``TestClient`` are ``client.cookies``.
            query: Of the address.
            token: What the client sends as its token.
            join: A group to join.

        Raises:
            CommandError: The hub refuses the connection or the join.
        """
        command = connect_command({} if token is None else {"token": token})
        return await self._connect(command, join=join, headers=headers, cookies=cookies, query=query)

    async def token(
        self,
        user_id: str,
        *,
        ttl: float = 3600,
        groups: Sequence[str] | None = None,
        post: Sequence[str] | None = None,
        private: bool = True,
        invisible: bool = False,
        server: bool = False,
    ) -> str:
        """Return a token that is issued now, on the clock of the hub. The arguments are those of `hubbub.make_token`.

        The claims of a token are whole seconds, and `ttl` counts from the last one: ``sleep(ttl)`` ends the token.

        Raises:
            HubError: The hub has no secret.
        """
        settings, clock = self.app_hub.settings, (await self._run.running()).clock
        if settings.secret is None:
            text = "This hub has no secret, so it accepts no token of ours: connect users as its on_connect knows them."
            raise HubError(text)
        return make_token(
            user_id,
            settings.secret,
            ttl=ttl,
            groups=groups,
            post=post,
            private=private,
            invisible=invisible,
            server=server,
            issuer=settings.issuer,
            audience=settings.audience,
            now=math.floor(clock.unix_time()),
        )

    def refused(self, code: str, match: str | None = None) -> Refusal:
        """Return a context manager whose block must be refused: ``with hub.refused("FORBIDDEN"):``.

        Args:
            code: The code, one of `hubbub.ErrorCode`.
            match: A regular expression that must be found in the text.

        Returns:
            For ``with … as refusal``: after the block, ``refusal.message`` is the text.

        Raises:
            ValueError: There is no such code.
        """
        return Refusal(code, match)

    # --- time ---

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass at once, with everything that it brings.

        Tokens end, history ages, bans are over, hooks run into their time limits, and ``asyncio.sleep`` in the app
        returns. An hour takes about 0.2 s.

        Args:
            seconds: How much; 0 lets only happen what is due.

        Raises:
            ValueError: It is negative or not finite.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be 0 or more, not {seconds!r}")
        running = await self._run.running()
        with running.clock.jumping():
            await asyncio.sleep(seconds)
        running.check()
        await running.clock.settle()

    async def time(self) -> float:
        """Return the Unix time on the clock of the hub: for ``make_token(…, now=await hub.time())``."""
        return (await self._run.running()).clock.unix_time()

    # --- inside ---

    async def _connect(
        self, command: Command, join: str | None = None, **options: Mapping[str, str] | None
    ) -> TestUser:
        running = await self._run.running()
        user = TestUser(running.clock)
        scope = websocket_scope(self._path, state=self._run.state, **options)
        await user._connect(self._app, scope, command)
        if join is not None:
            await user.join(join)
        return user
