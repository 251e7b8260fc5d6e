"""Asks an app over HTTP what `hubbub.hub.calls` asks functions, and means the same by its answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from hubbub.auth.identity import Identity
from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode
from hubbub.hooks import Asking, RemoteApp, WhyLeft
from hubbub.http_hooks import answers, requests
from hubbub.http_hooks.app import App
from hubbub.http_hooks.asking import ASKED, Inquiries, NoAnswerError, Question
from hubbub.http_hooks.breaker import Breaker
from hubbub.http_hooks.pool import Pool
from hubbub.http_hooks.signing import secret_key
from hubbub.http_hooks.told import ToldEvents
from hubbub.hub.identities import identity_of
from hubbub.hub.running import HookRunner, LateError
from hubbub.messages import Command, Connect, Join, Leave, UserRow
from hubbub.messages import Post as PostCommand
from hubbub.session import AdoptIdentity
from hubbub.settings import Settings

ROOM = 16_384
"""Bytes of an answer besides the message in it."""

log = logging.getLogger("hubbub.hooks")


class HttpHooks:
    """The `hubbub.hooks.Hooks` of a server with ``hooks``. Made in the running event loop.

    Args:
        settings: ``hooks`` and those that begin like it, ``hook_timeout`` and ``hook_concurrency``.
        unix_time: Unix time in seconds.
    """

    def __init__(self, settings: Settings, unix_time: Callable[[], float] = time.time) -> None:
        assert settings.hooks is not None
        assert settings.hooks_secret is not None
        self._settings = settings
        self._unix_time = unix_time
        self._runner = HookRunner(settings)
        pool = Pool(settings.hooks, settings.max_message + ROOM)
        key = secret_key(settings.hooks_secret, "hooks_secret")
        self._app = App(settings.hooks, key, pool, Breaker(), unix_time)
        self._inquiries = Inquiries(self._app, self._runner)
        self._told = ToldEvents(self._inquiries.tell, lambda: self._app.away)
        self._events = frozenset(settings.hooks_events)
        self._allowed = 0
        self._forwarded = tuple(name.lower() for name in settings.hooks_headers)
        self.connects = "connect" in self._events
        self.posts = "post" in self._events
        self.privates = "private" in self._events
        self.commands = self._commands()

    def _commands(self) -> frozenset[type[Command]]:
        found: set[type[Command]] = set()
        if self.connects:
            found |= {Connect, AdoptIdentity}
        if "join" in self._events:
            found.add(Join)
        if self.posts or self.privates:
            found.add(PostCommand)
        if "leave" in self._events:
            found |= {Connect, Join, Leave}
        return frozenset(found)

    def count_in(self, counters: Counters) -> None:
        """Count calls there from now on."""
        self._runner.counters = counters

    @property
    def running(self) -> int:
        """How many requests run at present."""
        return self._runner.turns.running

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._runner.turns.waiting

    @property
    def remote(self) -> RemoteApp:
        """How it is to reach the app."""
        told = self._told
        return RemoteApp(self._app.away, self._allowed, len(told), told.size, told.dropped, told.retried)

    def close(self) -> None:
        """Close the connections to the app; what it was not told yet is dropped, which is logged."""
        if left := len(self._told):
            log.warning("the app of hooks was not told of %d leaves and disconnects", left)
        self._told.close()
        self._app.close()

    def checks_joins(self, group: str) -> bool:
        """Whether the app is asked about joins."""
        return "join" in self._events

    def checks_posts(self, group: str) -> bool:
        """Whether the app is asked about posts."""
        return self.posts

    # --- questions ---

    async def connect(self, session: Asking) -> Identity | None:
        """Ask for ``connect``."""
        app = session.app
        assert app is not None
        scope = getattr(app.handshake, "scope", {"headers": []})

        def question() -> Question:
            seen = requests.visitor(scope, self._forwarded)
            return requests.connect(session, seen, self._unix_time()), seen.headers

        try:
            user = await self._inquiries.ask("connect", None, question, answers.connect)
        except CommandError as error:
            if error.code == ErrorCode.FORBIDDEN:
                app.handshake = None
            raise
        identity = None
        if user is not None:
            try:
                identity = identity_of(user, self._settings, self._unix_time())
            except TypeError as error:
                raise self._runner.failed(ASKED["connect"], error) from None
            app.data = user.data
        app.handshake = None  # it has been answered
        return identity

    async def join(self, session: Asking, group: str) -> None:
        """Ask for ``join``."""

        def question() -> Question:
            return requests.join(session, group, self._unix_time()), None

        try:
            await self._inquiries.ask("join", session.user_id, question, answers.join)
        except (LateError, NoAnswerError) as error:
            self._allow_or_raise(error)

    async def post(
        self, session: Asking, group: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Ask for ``post``."""

        def question() -> Question:
            return requests.post(session, group, message, key, self._unix_time(), keep=keep), None

        return await self._message("post", session, question, message)

    async def private(
        self, session: Asking, to: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Ask for ``private``."""

        def question() -> Question:
            return requests.private(session, to, message, key, self._unix_time(), keep=keep), None

        return await self._message("private", session, question, message)

    async def _message(
        self, event: str, session: Asking, question: Callable[[], Question], sent: msgspec.Raw
    ) -> msgspec.Raw | None:
        try:
            read = partial(answers.message, sent)
            found: msgspec.Raw | None = await self._inquiries.ask(event, session.user_id, question, read)
        except (LateError, NoAnswerError) as error:
            self._allow_or_raise(error)
            return sent
        return found

    def _allow_or_raise(self, error: CommandError) -> None:
        """Raise the error, unless ``hooks_away`` allows what the app could not be asked."""
        if self._settings.hooks_away != "allow":
            raise error
        self._allowed += 1

    # --- what is told ---

    def left(self, session: Asking, group: str, why: WhyLeft) -> Coroutine[Any, Any, None] | None:
        """Return what tells ``leave``."""
        return self._left(requests.member(session, group), group, why)

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> Coroutine[Any, Any, None] | None:
        """Return what tells ``leave`` of members of a node that died: their data died with it."""
        told = [
            self._left(requests.MemberData(row.user_id, row.connection_id, None, group, None), group, "node lost")
            for row, group in lost
        ]
        return _one_after_the_other([each for each in told if each is not None])

    def _left(self, member: requests.MemberData, group: str, why: WhyLeft) -> Coroutine[Any, Any, None] | None:
        if "leave" not in self._events:
            return None
        body = requests.leave(member, group, why, self._unix_time())
        return self._told.add(member.connection_id, "leave", member.user_id, body)

    def disconnected(self, session: Asking) -> Coroutine[Any, Any, None] | None:
        """Return what tells ``disconnect``."""
        if "disconnect" not in self._events:
            return None
        body = requests.disconnect(session, self._unix_time())
        return self._told.add(session.connection_id, "disconnect", session.user_id, body)


async def _one_after_the_other(told: list[Coroutine[Any, Any, None]]) -> None:
    for each in told:
        await each
