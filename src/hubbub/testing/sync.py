"""``SyncTestHub``: the same as `hubbub.testing.TestHub`, for tests without async."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from starlette.types import ASGIApp

from hubbub.client.events import Event, Message, Notice, Private
from hubbub.client.results import Joined, Page, Sent
from hubbub.client.wire import Recipient
from hubbub.hub.hub import Hub
from hubbub.messages import GroupRow, Order, Position, UserRow
from hubbub.testing.hub import TestHub
from hubbub.testing.own_loop import acquire_runner, release_runner, run_blocking
from hubbub.testing.refusal import Refusal
from hubbub.testing.user import CLOSE, MESSAGE, TestUser

T = TypeVar("T")


class SyncTestHub:
    """A `TestHub` for tests without async: ``with SyncTestHub() as hub:``. Its calls block until they are done.

    If the app starts the hub, as in Starlette's ``TestClient``, the calls are executed in the loop of the app.
    Otherwise the hub runs in a loop of its own, and only while a call does.

    Args:
        app_hub: As for `TestHub`.
        app: As for `TestHub`. Leave it out where a ``TestClient`` runs the app's lifespan.
        at: As for `TestHub`.
        settings: As for `TestHub`.

    Attributes:
        app_hub: The `hubbub.Hub` under test.
    """

    __test__ = False  # for pytest, as for `TestHub`

    def __init__(
        self, app_hub: Hub | None = None, /, *, app: ASGIApp | None = None, at: str = "/realtime", **settings: Any
    ) -> None:
        self._hub = TestHub(app_hub, app=app, at=at, **settings)
        self.app_hub = self._hub.app_hub
        self._runner: asyncio.Runner

    def __enter__(self) -> Self:
        """Begin. The hub starts when it is first used, or with its app. Raises as `TestHub.__aenter__`."""
        self._runner = acquire_runner()
        try:
            self._hub._run.begin()
        except BaseException:
            release_runner()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections and stop the hub, unless the app has stopped it."""
        try:
            self.run(self._hub._run.end())
        finally:
            self._hub._run.forget()
            release_runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the app in the loop of the hub, such as ``hub.run(realtime.post("kitchen", order))``."""
        return run_blocking(work, self._runner, self._hub._run.loop)

    # --- users ---

    def guest(self, name: str, *, join: str | None = None, guest_key: str | None = None) -> SyncTestUser:
        """Connect a guest. See `TestHub.guest`."""
        return SyncTestUser(self, self.run(self._hub.guest(name, join=join, guest_key=guest_key)))

    def user(
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
    ) -> SyncTestUser:
        """Connect a user with a token. See `TestHub.user`."""
        user = self._hub.user(
            user_id, join=join, ttl=ttl, groups=groups, post=post, private=private, invisible=invisible, server=server
        )
        return SyncTestUser(self, self.run(user))

    def connect(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
        join: str | None = None,
    ) -> SyncTestUser:
        """Connect a client as the app identifies it, or by a token. See `TestHub.connect`."""
        user = self._hub.connect(headers=headers, cookies=cookies, query=query, token=token, join=join)
        return SyncTestUser(self, self.run(user))

    def token(
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
        """Return a token that is issued now, on the clock of the hub. See `TestHub.token`."""
        return self.run(
            self._hub.token(
                user_id, ttl=ttl, groups=groups, post=post, private=private, invisible=invisible, server=server
            )
        )

    def refused(self, code: str, match: str | None = None) -> Refusal:
        """Return a context manager whose block must be refused. See `TestHub.refused`."""
        return self._hub.refused(code, match)

    # --- time ---

    def sleep(self, seconds: float) -> None:
        """Let so much time pass at once, with everything that it brings. See `TestHub.sleep`."""
        self.run(self._hub.sleep(seconds))

    def time(self) -> float:
        """Return the Unix time on the clock of the hub."""
        return self.run(self._hub.time())


class SyncTestUser:
    """One connection to a hub under test: a `TestUser` whose calls block until they are done."""

    __test__ = False

    def __init__(self, hub: SyncTestHub, user: TestUser) -> None:
        self._run = hub.run
        self._user = user

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._user.user_id}>"

    @property
    def user_id(self) -> str:
        """The user's id. See `TestUser.user_id`."""
        return self._user.user_id

    @property
    def connection_id(self) -> str:
        """The id of this connection."""
        return self._user.connection_id

    @property
    def group(self) -> str | None:
        """The group that it has joined; None without one."""
        return self._user.group

    @property
    def closed(self) -> int | None:
        """The code that the connection was closed with. See `TestUser.closed`."""
        return self._user.closed

    @property
    def unread(self) -> tuple[Event, ...]:
        """What has arrived and was not taken. See `TestUser.unread`."""
        return self._user.unread

    def join(
        self,
        group: str,
        *,
        history: int = 0,
        since: Position | None = None,
        notices: bool = True,
        invisible: bool = False,
    ) -> Joined:
        """Join a group. See `TestUser.join`."""
        return self._run(self._user.join(group, history=history, since=since, notices=notices, invisible=invisible))

    def leave(self) -> Joined:
        """Leave the group."""
        return self._run(self._user.leave())

    def post(
        self,
        message: Any,
        to: Recipient | None = None,
        *,
        key: str | None = None,
        min_recipients: int | None = None,
        keep: bool = True,
        echo: bool = True,
    ) -> Sent:
        """Post JSON to the joined group or to `to`. See `TestUser.post`."""
        return self._run(self._user.post(message, to, key=key, min_recipients=min_recipients, keep=keep, echo=echo))

    def groups(
        self,
        search_for: Order | None = None,
        value: str | float | None = None,
        condition: str | None = None,
        *,
        limit: int | None = None,
    ) -> Page[GroupRow]:
        """List or search the groups. See `TestUser.groups`."""
        return self._run(self._user.groups(search_for, value, condition, limit=limit))

    def users(self, group: str | None = None, *, limit: int | None = None) -> Page[UserRow]:
        """List the connections in a group. See `TestUser.users`."""
        return self._run(self._user.users(group, limit=limit))

    def renew(self, token: str) -> None:
        """Go on with a fresh token of the same user."""
        self._run(self._user.renew(token))

    def close(self) -> None:
        """Close the connection. See `TestUser.close`."""
        self._run(self._user.close())

    def drop(self) -> None:
        """Lose the connection. See `TestUser.drop`."""
        self._run(self._user.drop())

    def next(self, within: float = MESSAGE) -> Message | Private:
        """Take the next message. See `TestUser.next`."""
        return self._run(self._user.next(within))

    def next_notice(self, within: float = MESSAGE) -> Notice:
        """Take the next notice. See `TestUser.next_notice`."""
        return self._run(self._user.next_notice(within))

    def next_event(self, within: float = MESSAGE) -> Event:
        """Take whatever has come first. See `TestUser.next_event`."""
        return self._run(self._user.next_event(within))

    def wait_closed(self, within: float = CLOSE) -> int:
        """Wait until the connection is closed; return the code. See `TestUser.wait_closed`."""
        return self._run(self._user.wait_closed(within))
