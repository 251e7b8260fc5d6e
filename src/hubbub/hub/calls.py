"""Asks the hooks of a hub for a node: which hook is asked, with what, and what its answer means."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any

import msgspec

from hubbub.auth.identity import Identity
from hubbub.clock import SYSTEM, Clock
from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode
from hubbub.hooks import Asking, WhyLeft
from hubbub.hub.identities import identity_of
from hubbub.hub.registry import Hook, Registry
from hubbub.hub.routes import Routes
from hubbub.hub.running import HookRunner
from hubbub.hub.types import Member, Post
from hubbub.messages import Command, Connect, Join, Leave, UserRow
from hubbub.messages import Post as PostCommand
from hubbub.session import AdoptIdentity
from hubbub.settings import Settings


class HookCalls:
    """The `hubbub.hooks.Hooks` of a hub.

    Args:
        registry: The hooks. They must not change any more.
        settings: ``hook_timeout``, ``hook_concurrency``, and the limits of user ids.
        clock: Measures how long hooks take; its Unix time is for ``User.expires``.
    """

    def __init__(self, registry: Registry, settings: Settings, clock: Clock = SYSTEM) -> None:
        self._settings = settings
        self._unix_time = clock.unix_time
        self._runner = HookRunner(settings, clock.monotonic)
        self._connect = _only(registry.hooks("on_connect"))
        self._private = _only(registry.hooks("on_private"))
        self._disconnect = _only(registry.hooks("on_disconnect"))
        self._joins = Routes(registry.hooks("on_join"))
        self._posts = Routes(registry.hooks("on_post"))
        self._leaves = Routes(registry.hooks("on_leave"))
        self.connects = self._connect is not None
        self.posts = bool(self._posts)
        self.privates = self._private is not None
        self.commands = self._commands()
        self.checks_joins = self._joins.has
        self.checks_posts = self._posts.has

    def _commands(self) -> frozenset[type[Command]]:
        found: set[type[Command]] = set()
        if self.connects:
            found |= {Connect, AdoptIdentity}
        if self._joins:
            found.add(Join)
        if self._posts or self.privates:
            found.add(PostCommand)
        if self._leaves:
            found |= {Connect, Join, Leave}
        return frozenset(found)

    def count_in(self, counters: Counters) -> None:
        """Count calls there from now on."""
        self._runner.counters = counters

    @property
    def running(self) -> int:
        """How many hooks run at present."""
        return self._runner.turns.running

    @property
    def waiting(self) -> int:
        """How many hooks wait for their turn."""
        return self._runner.turns.waiting

    @property
    def remote(self) -> None:
        """Nothing: the app is in this process."""

    def close(self) -> None:
        """Release nothing."""

    # --- hooks that decide ---

    async def connect(self, session: Asking) -> Identity | None:
        """Run ``on_connect``."""
        hook, app = self._connect, session.app
        assert hook is not None
        assert app is not None
        try:
            user = await self._runner.run(hook, None, hook.function, (app.handshake,))
        except CommandError as error:
            if error.code == ErrorCode.FORBIDDEN:
                app.handshake = None
            raise
        identity = None
        if user is not None:
            try:
                identity = identity_of(user, self._settings, self._unix_time())
            except TypeError as error:
                raise self._runner.failed(hook, error) from None
            app.data = user.data
        app.handshake = None  # it has been answered
        return identity

    async def join(self, session: Asking, group: str) -> None:
        """Run the ``on_join`` of `group`."""
        found = self._joins.find(group)
        if found is None:
            return
        hook, names = found
        returned = await self._runner.run(hook, session.user_id, hook.function, (_member(session, group),), names)
        if returned is not None:
            text = f"it returned {returned!r:.80}, and only raising Deny refuses: return None to allow the join"
            raise self._runner.failed(hook, TypeError(text))

    async def post(
        self, session: Asking, group: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Run the ``on_post`` of `group`."""
        found = self._posts.find(group)
        if found is None:
            return message
        hook, names = found
        post = Post(hook.converter.decode(message), _member(session, group), group, None, key, keep)
        return self._encoded(hook, await self._runner.run(hook, session.user_id, hook.function, (post,), names))

    async def private(
        self, session: Asking, to: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Run ``on_private``."""
        hook = self._private
        assert hook is not None
        post = Post(hook.converter.decode(message), _member(session, session.group), None, to, key, keep)
        return self._encoded(hook, await self._runner.run(hook, session.user_id, hook.function, (post,)))

    def _encoded(self, hook: Hook, returned: Any) -> msgspec.Raw | None:
        try:
            return hook.converter.encode(returned)
        except TypeError as error:
            raise self._runner.failed(hook, error) from None

    # --- hooks that are told ---

    def left(self, session: Asking, group: str, why: WhyLeft) -> Coroutine[Any, Any, None] | None:
        """Return the call of the ``on_leave`` of `group`."""
        return self._left(_member(session, group), group, why)

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> Coroutine[Any, Any, None] | None:
        """Return the calls of ``on_leave`` for members of a node that died: their data died with it."""
        calls = (self._left(Member(r.user_id, r.connection_id, None, group), group, "node lost") for r, group in lost)
        return _one_after_the_other(calls) if self._leaves else None

    def _left(self, member: Member, group: str, why: WhyLeft) -> Coroutine[Any, Any, None] | None:
        found = self._leaves.find(group)
        return None if found is None else self._tell(found[0], member.user_id, (member, group, why), found[1])

    def disconnected(self, session: Asking) -> Coroutine[Any, Any, None] | None:
        """Return the call of ``on_disconnect``."""
        if self._disconnect is None:
            return None
        return self._tell(self._disconnect, session.user_id, (_member(session, session.group),), {})

    async def _tell(self, hook: Hook, user_id: str, arguments: tuple[Any, ...], names: dict[str, str]) -> None:
        """Run a hook that nobody waits for: whatever goes wrong is logged only."""
        try:
            await self._runner.run(hook, user_id, hook.function, arguments, names, impatient=False)
        except CommandError as error:
            if error.code == ErrorCode.FORBIDDEN:
                text = "it raised Deny, and there is nothing to refuse: it is called afterwards"
                self._runner.failed(hook, TypeError(text))


async def _one_after_the_other(calls: Iterable[Coroutine[Any, Any, None] | None]) -> None:
    for call in calls:
        if call is not None:
            await call


def _only(hooks: list[Hook]) -> Hook | None:
    return hooks[0] if hooks else None


def _member(session: Asking, group: str | None) -> Member:
    identity, app = session.identity, session.app
    name = None if identity is None else identity.name
    return Member(session.user_id, session.connection_id, name, group, None if app is None else app.data)
