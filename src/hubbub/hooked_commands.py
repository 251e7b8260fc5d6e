"""The commands of a node with an app: its hooks are asked before a join or a post is executed, and told afterwards.

Rights, membership and limits are checked before a hook and once more after it. Between the two the client may have been
disconnected or its token may have expired, and the hook may have returned another message.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from hubbub.auth.identity import Identity
from hubbub.backends.base import Backend
from hubbub.commands import Commands
from hubbub.connect_command import ConnectCommand
from hubbub.errors import CommandError, ErrorCode
from hubbub.fanout import Fanout
from hubbub.hooks import AppSide, Hooks, WhyLeft
from hubbub.limits import check_message, require_recipients
from hubbub.messages import Connect, Join, Leave, Message, Post, Signal, Success, Welcome, sent
from hubbub.services import Services
from hubbub.session import Replayed, Session
from hubbub.session_lifetime import SessionLifetime
from hubbub.settings import Settings
from hubbub.time_budget import DELIVERY


class HookedCommands(Commands):
    """Executes the commands of the sessions of a node with hooks. The first arguments are those of `Commands`.

    Args:
        settings: The limits.
        backend: What is shared with other nodes.
        fanout: The connections and groups of this node.
        services: What commands have in common with the HTTP API, and the counters.
        connect: Executes `Connect` and `AdoptIdentity`.
        hooks: What the app decides.
    """

    def __init__(
        self,
        settings: Settings,
        backend: Backend,
        fanout: Fanout,
        services: Services,
        connect: ConnectCommand,
        hooks: Hooks,
    ) -> None:
        self._hooks = hooks
        super().__init__(settings, backend, fanout, services, connect)
        self._connect_command = connect
        self._waiting = hooks.commands
        self._table[Connect] = self._connect
        if not hooks.posts:  # then posts cost no more than on a node without hooks
            self.post_now = super().post_now  # type: ignore[method-assign]
            self.post_soon = super().post_soon  # type: ignore[method-assign]

    def post_now(self, session: Session, post: Post) -> int | None:
        """Execute a post at once, unless it may have to wait for the backend or for a hook."""
        lane = session.lane
        if lane is not None and self._hooks.checks_posts(lane.group):
            return None
        return super().post_now(session, post)

    def post_soon(self, session: Session, post: Post, done: Callable[[int | CommandError], object]) -> bool:
        """Start a post without a task, unless a hook is asked about it."""
        lane = session.lane
        if lane is not None and self._hooks.checks_posts(lane.group):
            return False
        return super().post_soon(session, post, done)

    async def _connect(self, session: Session, command: Connect) -> Welcome | Replayed | None:
        reply = await self._connect_command.connect(session, command)
        app = _app_of(session)
        if app.group is not None and session.group is None and not session.closing:  # the new token does not allow it
            self._has_left(session, app, "left")
        return reply

    async def _join(self, session: Session, command: Join) -> Success | Replayed | None:
        group = command.group
        if not group:
            return await self._leave(session)
        self._check_join(session, group, command.history)  # before the name is looked up, and remembered
        if self._hooks.checks_joins(group):
            await self._hooks.join(session, group)
            _require_rights(session)
            if session.closing:
                return None
        reply = await super()._join(session, command)
        app = _app_of(session)
        if app.group is not None and app.group != group:
            self._has_left(session, app, "switched")
        app.group = group
        return reply

    async def _leave(self, session: Session, command: Leave | None = None) -> Success:
        reply = await super()._leave(session, command)
        app = _app_of(session)
        if app.group is not None:
            self._has_left(session, app, "left")
        return reply

    async def _post(self, session: Session, command: Post) -> Success | None:
        """Let a hook decide about a post, then publish what it returned.

        A client may end its connection right after it has posted: that does not stop the post, as without a hook.
        """
        group, user_id = await self._check_post(session, command)
        hooks, key, least = self._hooks, command.key, command.min_recipients or 0
        if group is not None and not hooks.checks_posts(group):
            return await self._publish(session, group, command)
        if user_id is not None and not hooks.privates:
            return await self._publish_private(session, user_id, command)
        if key is not None:
            known = await self._backend.find_post(session.user_id, key, group=group, user_id=user_id)
            if known is not None:
                return sent(known)
        if group is not None:
            message = await hooks.post(session, group, command.message, key)
        else:
            message = await hooks.private(session, cast(str, user_id), command.message, key)
        _require_rights(session)
        if message is None:  # swallowed
            require_recipients(least, 0)
            return sent(0)
        if message != command.message:
            check_message(message, self._settings.max_message, self._settings.max_depth)
            command.message = message
        identity = cast(Identity, session.identity)
        if group is None:
            identity.require_private()
            return await self._publish_private(session, cast(str, user_id), command)
        if session.restricted:
            identity.require_post(group)
        if self._publish_now is None:
            return await self._publish(session, group, command)
        recipients = self._publish_now(Message(message, session.user_id, session.connection_id, group, 0), key, least)
        self._counters.published += 1
        self._counters.delivered += recipients
        session.budget.left -= recipients * DELIVERY
        return sent(recipients)

    def _group_of(self, session: Session) -> str | None:
        """Return the group that the session is in, or was in when it began to close: see `_post`."""
        if session.closing and not session.rights_ended and session.app is not None:
            return session.app.group
        return session.group

    async def _signal(self, session: Session, command: Signal) -> Success:
        if self._hooks.privates:  # a connection id does not say which user `on_private` would be asked about
            text = "This app checks private messages, and signals cannot be checked: send a message to the user."
            raise CommandError(ErrorCode.FORBIDDEN, text)
        return await super()._signal(session, command)

    def _has_left(self, session: Session, app: AppSide, why: WhyLeft) -> None:
        group, app.group = app.group, None
        assert group is not None
        if (told := self._hooks.left(session, group, why)) is not None:
            app.after.append(told)


def ended(hooks: Hooks, session: SessionLifetime) -> Coroutine[Any, Any, None] | None:
    """Return what tells the app that an identified session has ended; None if the app does not ask."""
    app = _app_of(session)
    group, app.group = app.group, None
    told = [
        None if group is None else hooks.left(session, group, "disconnected"),
        hooks.disconnected(session),
    ]
    rest = [*app.after, *(each for each in told if each is not None)]
    app.after = []
    return _one_after_the_other(rest) if rest else None


async def _one_after_the_other(told: list[Coroutine[Any, Any, None]]) -> None:
    for each in told:
        await each


def _app_of(session: SessionLifetime) -> AppSide:
    if session.app is None:
        session.app = AppSide(None)
    return session.app


def _require_rights(session: Session) -> None:
    """Refuse a user whose token has expired, or who was disconnected, while a hook ran."""
    if session.rights_ended:
        raise CommandError(ErrorCode.FORBIDDEN, "You were disconnected while the app was asked: connect again.")
