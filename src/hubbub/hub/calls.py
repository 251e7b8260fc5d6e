"""Runs the hooks of a hub for a node: for how long, how many at once, and what an outcome means for the client."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, cast

import msgspec

from hubbub.auth.identity import Identity
from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode
from hubbub.hooks import Asking, WhyLeft
from hubbub.hub.deadlines import Deadlines
from hubbub.hub.identities import identity_of
from hubbub.hub.registry import Hook, Registry
from hubbub.hub.routes import Routes
from hubbub.hub.turns import Turns
from hubbub.hub.types import Deny, Member, Post
from hubbub.messages import Command, Connect, Join, Leave, UserRow
from hubbub.messages import Post as PostCommand
from hubbub.session import AdoptIdentity
from hubbub.settings import Settings

LONGEST_WAIT: Final = 10.0
"""Seconds that a hook may wait for its turn; then the command fails with ``UNAVAILABLE``. Clients wait as long."""

log = logging.getLogger("hubbub.hooks")


class HookCalls:
    """The `hubbub.hooks.Hooks` of a hub.

    Args:
        registry: The hooks. They must not change any more.
        settings: ``hook_timeout``, ``hook_concurrency``, and the limits of user ids.
        unix_time: Unix time in seconds, for ``User.expires``.
    """

    def __init__(self, registry: Registry, settings: Settings, unix_time: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._unix_time = unix_time
        self._counters = Counters()
        self._turns = Turns(settings.hook_concurrency)
        self._deadlines = Deadlines(settings.hook_timeout)
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
        self._counters = counters

    @property
    def running(self) -> int:
        """How many hooks run at present."""
        return self._turns.running

    @property
    def waiting(self) -> int:
        """How many hooks wait for their turn."""
        return self._turns.waiting

    # --- hooks that decide ---

    async def connect(self, session: Asking) -> Identity | None:
        """Run ``on_connect``."""
        hook, app = self._connect, session.app
        assert hook is not None
        assert app is not None
        try:
            user = await self._run(hook, None, (app.handshake,), {})
        except CommandError as error:
            if error.code == ErrorCode.FORBIDDEN:
                app.handshake = None
            raise
        identity = None
        if user is not None:
            try:
                identity = identity_of(user, self._settings, self._unix_time())
            except TypeError as error:
                raise self._failed(hook, error) from None
            app.data = user.data
        app.handshake = None  # it has been answered
        return identity

    async def join(self, session: Asking, group: str) -> None:
        """Run the ``on_join`` of `group`."""
        found = self._joins.find(group)
        if found is None:
            return
        hook, names = found
        returned = await self._run(hook, session.user_id, (_member(session, group),), names)
        if returned is not None:
            text = f"it returned {returned!r:.80}, and only raising Deny refuses: return None to allow the join"
            raise self._failed(hook, TypeError(text))

    async def post(
        self, session: Asking, group: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Run the ``on_post`` of `group`."""
        found = self._posts.find(group)
        if found is None:
            return message
        hook, names = found
        post = Post(hook.converter.decode(message), _member(session, group), group, None, key, keep)
        return self._encoded(hook, await self._run(hook, session.user_id, (post,), names))

    async def private(
        self, session: Asking, to: str, message: msgspec.Raw, key: str | None, *, keep: bool = True
    ) -> msgspec.Raw | None:
        """Run ``on_private``."""
        hook = self._private
        assert hook is not None
        post = Post(hook.converter.decode(message), _member(session, session.group), None, to, key, keep)
        return self._encoded(hook, await self._run(hook, session.user_id, (post,), {}))

    def _encoded(self, hook: Hook, returned: Any) -> msgspec.Raw | None:
        try:
            return hook.converter.encode(returned)
        except TypeError as error:
            raise self._failed(hook, error) from None

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
            await self._run(hook, user_id, arguments, names, impatient=False)
        except CommandError as error:
            if error.code == ErrorCode.FORBIDDEN:
                text = "it raised Deny, and there is nothing to refuse: it is called afterwards"
                self._failed(hook, TypeError(text))

    # --- one call ---

    async def _run(
        self,
        hook: Hook,
        user_id: str | None,
        arguments: tuple[Any, ...],
        names: dict[str, str],
        *,
        impatient: bool = True,
    ) -> Any:
        """Run a hook when it is its turn, within its time; count the outcome. With `impatient`, a client waits for it.

        Raises:
            CommandError: ``FORBIDDEN``, the hook has refused; ``UNAVAILABLE``, it had no turn or no answer in time;
                ``INTERNAL``, it failed.
        """
        turns, outcome = self._turns, "ok"
        if not turns.take():
            await self._wait_for_turn(hook, user_id, LONGEST_WAIT if impatient else None)
        task, began, late = cast(asyncio.Task[Any], asyncio.current_task()), time.monotonic(), False
        self._deadlines.begin(task, began)
        try:
            try:
                return await hook.function(*arguments, **names)
            finally:
                late = self._deadlines.end(task)
        except Deny as refusal:
            outcome = "denied"
            raise CommandError(ErrorCode.FORBIDDEN, refusal.text) from None
        except (Exception, asyncio.CancelledError) as error:
            if late:
                outcome = "timeout"
                raise self._too_late(hook) from None
            outcome = "failed"
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                raise  # the node stops; otherwise the hook has waited for something of its own that was cancelled
            raise self._failed(hook, error, count=False) from None
        finally:
            turns.done()
            self._count(hook, outcome, time.monotonic() - began)

    def _too_late(self, hook: Hook) -> CommandError:
        limit = self._settings.hook_timeout
        log.warning("%s had no answer within %g s (hook_timeout), so the command was refused", hook, limit)
        return CommandError(ErrorCode.UNAVAILABLE, f"The app did not answer within {limit:g} s. Try again.")

    async def _wait_for_turn(self, hook: Hook, user_id: str | None, wait: float | None) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def start() -> bool:
            if turn.done():  # it has waited too long, or its task was cancelled
                return False
            turn.set_result(None)
            return True

        self._turns.wait(user_id, start)
        try:
            async with asyncio.timeout(wait):
                await turn
        except TimeoutError:
            self._count(hook, "busy", 0)
            text = f"The app is busy: {self._settings.hook_concurrency} hooks run already. Try again."
            raise CommandError(ErrorCode.UNAVAILABLE, text) from None
        except BaseException:  # cancelled, perhaps just after it got the place
            if turn.done() and not turn.cancelled():
                self._turns.done()
            raise

    def _failed(self, hook: Hook, error: BaseException, *, count: bool = True) -> CommandError:
        """Log that a hook failed, and return the error for the client.

        With `count`, it has returned something wrong: that is counted here, and has no traceback.
        """
        if count:
            log.error("%s is wrong: %s", hook, error)
        else:
            log.error("%s failed", hook, exc_info=error)
        if count:
            self._count(hook, "failed", 0)
        return CommandError(ErrorCode.INTERNAL, "The app failed to answer; its log has the details.")

    def _count(self, hook: Hook, outcome: str, seconds: float) -> None:
        label = hook.event, hook.pattern.text
        self._counters.hooks[(*label, outcome)] += 1
        self._counters.hook_seconds[label] += seconds


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
