"""What each command does, by fan-out and backend. `hubbub.connect_command` has the one that identifies."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, cast
from uuid import UUID

from hubbub.auth.identity import Identity
from hubbub.backends.base import Backend, ImmediateBackend, PublishSoon
from hubbub.connect_command import ConnectCommand, replay_frames
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.fanout import Fanout
from hubbub.limits import check_key, check_message, check_name
from hubbub.messages import (
    LEFT,
    Command,
    Connect,
    Groups,
    Join,
    Leave,
    Message,
    Page,
    Post,
    Private,
    Recipient,
    Reply,
    Signal,
    Signaled,
    Success,
    Users,
    joined,
    sent,
)
from hubbub.services import Services
from hubbub.session import AdoptIdentity, Replayed, Session
from hubbub.settings import Settings
from hubbub.time_budget import DELIVERY, FEW


class Commands:
    """Executes the commands of the sessions of one node. `hubbub.hooked_commands` adds what an app decides.

    Args:
        settings: The limits.
        backend: What is shared with other nodes.
        fanout: The connections and groups of this node.
        services: What commands have in common with the HTTP API, and the counters.
        connect: Executes `Connect` and `AdoptIdentity`.
    """

    def __init__(
        self, settings: Settings, backend: Backend, fanout: Fanout, services: Services, connect: ConnectCommand
    ) -> None:
        self._settings = settings
        self._max_message, self._max_depth = settings.max_message, settings.max_depth
        self._backend = backend
        self._fanout = fanout
        self._services = services
        self._counters = services.counters
        self._waiting: frozenset[type[Command]] = frozenset()
        self._publish_now = cast(ImmediateBackend, backend).publish_now if backend.immediate else None
        self._publish_soon: PublishSoon | None = getattr(backend, "publish_soon", None)
        self._table: dict[type, Callable[[Session, Any], Coroutine[Any, Any, Reply | Replayed | None]]] = {
            AdoptIdentity: connect.adopt_identity,
            Connect: connect.connect,
            Join: self._join,
            Leave: self._leave,
            Post: self._post,
            Signal: self._signal,
            Groups: self._groups,
            Users: self._users,
        }

    async def execute(self, session: Session, command: Command) -> Reply | Replayed | None:
        """Execute `command`, and count the outcome. See `hubbub.session.CommandRunner`."""
        kind, outcome = type(command), "ok"
        charged = self._backend.immediate and kind not in self._waiting  # otherwise most of it was waiting
        began = time.perf_counter() if charged else 0.0
        try:
            return await self._table[kind](session, command)
        except CommandError as error:
            outcome = error.code.value
            raise
        except Exception:
            outcome = ErrorCode.INTERNAL.value
            raise
        finally:
            self._counters.commands[kind.__name__.lower(), outcome] += 1
            if charged:
                session.budget.left -= time.perf_counter() - began

    def post_now(self, session: Session, post: Post) -> int | None:
        """Execute the most frequent command, a post to the joined group, at once if the backend never waits."""
        lane, to, content, publish_now = session.lane, post.to, post.message, self._publish_now
        if publish_now is None or lane is None:
            return None
        group = lane.group
        if to != group if isinstance(to, str) else to.group != group or to.user_id is not None:
            return None
        if session.restricted:
            cast(Identity, session.identity).require_post(group)
        check_message(content, self._max_message, self._max_depth)
        message = Message(content, session.user_id, session.connection_id, group, 0)
        if post.key is None and post.min_recipients is None:
            recipients = publish_now(message)
        else:
            check_key(post.key, post.min_recipients)
            recipients = publish_now(message, post.key, post.min_recipients or 0)
        counters = self._counters
        counters.posts += 1
        counters.delivered += recipients
        if recipients > FEW:
            session.budget.left -= recipients * DELIVERY
        return recipients

    def post_soon(self, session: Session, post: Post, done: Callable[[int | CommandError], object]) -> bool:
        """Start a post to the joined group, if the backend takes it without a task; `done` gets its result."""
        lane, to, content = session.lane, post.to, post.message
        if self._publish_soon is None or lane is None:
            return False
        group = lane.group
        if to != group if isinstance(to, str) else to.group != group or to.user_id is not None:
            return False
        if session.restricted:
            cast(Identity, session.identity).require_post(group)
        check_message(content, self._max_message, self._max_depth)
        message = Message(content, session.user_id, session.connection_id, group, 0)
        if post.key is None and post.min_recipients is None:
            self._publish_soon(message, done)
        else:
            check_key(post.key, post.min_recipients)
            self._publish_soon(message, done, post.key, post.min_recipients or 0)
        return True

    def posted(self, session: Session, result: int | CommandError) -> None:
        """Count the outcome of a post that `post_soon` has started, and charge its deliveries on this node."""
        if isinstance(result, CommandError):
            self._counters.commands["post", result.code.value] += 1
            return
        self._counters.posts += 1
        self._counters.delivered += result
        if (lane := session.lane) is not None:
            here = len(lane.members)
            if len(lanes := self._fanout.groups[lane.group]) > 1:
                here = sum(len(each.members) for each in lanes.values())
            session.budget.left -= (here if here < result else result) * DELIVERY

    async def _join(self, session: Session, command: Join) -> Success | Replayed | None:
        group = command.group
        if not group:
            return await self._leave(session)
        self._check_join(session, group, command.history)
        before = session.group
        if before != group or command.since is not None:
            self._fanout.leave(session)  # what is delivered from here on is not for it, or will be replayed
        try:
            replay = await self._backend.join(session.row, group, command.since, command.history)
        except CommandError:
            self._join_fanout(session, before)
            raise
        # From here to the reply nothing may wait: later messages must be queued behind the replayed ones.
        self._join_fanout(session, group)
        frames, replayed, gap = replay_frames(session, replay, self._settings)
        return Replayed(joined(group, replay.position, replayed, gap=gap), frames)

    def _check_join(self, session: Session, group: str, history: int) -> None:
        check_name("group", group, self._settings.max_group_name)
        assert session.identity is not None
        session.identity.require_group(group)
        if history < 0:
            raise invalid(f'"history" must be 0 or more, not {history}.')

    async def _leave(self, session: Session, _command: Leave | None = None) -> Success:
        before = session.group
        self._fanout.leave(session)
        try:
            await self._backend.leave(session.row)
        except CommandError:
            self._join_fanout(session, before)
            raise
        return LEFT

    def _join_fanout(self, session: Session, group: str | None) -> None:
        """Deliver messages of `group` to the session, unless it is being closed or is a member already."""
        if group is not None and session.group != group and not session.closing:
            self._fanout.join(session, group)

    async def _post(self, session: Session, command: Post) -> Success | None:
        group, user_id = await self._check_post(session, command)
        if group is not None:
            return await self._publish(session, group, command)
        assert user_id is not None
        return await self._publish_private(session, user_id, command)

    async def _check_post(self, session: Session, command: Post) -> tuple[str | None, str | None]:
        """Check everything about a post, and return its group or its user; the other one is None."""
        check_message(command.message, self._settings.max_message, self._settings.max_depth)
        if command.key is not None or command.min_recipients is not None:
            check_key(command.key, command.min_recipients)
        to, own = command.to, self._group_of(session)
        if own and (to == own if isinstance(to, str) else to.group == own and to.user_id is None):
            group: str | None = own
            user_id: str | None = None
        else:
            group, user_id = await self._recipient(session, to)
        if group is not None:
            if group != own:
                raise _not_joined(group)
            if session.restricted:
                cast(Identity, session.identity).require_post(group)
        return group, user_id

    def _group_of(self, session: Session) -> str | None:
        """Return the group that the session is in."""
        return session.group

    async def _publish(self, session: Session, group: str, command: Post) -> Success:
        message = Message(command.message, session.user_id, session.connection_id, group, 0)
        return await self._services.publish(message, command.key, command.min_recipients or 0)

    async def _publish_private(self, session: Session, user_id: str, command: Post) -> Success:
        private = Private(command.message, session.user_id, session.connection_id)
        return sent(await self._backend.post_to_user(user_id, private, command.key, command.min_recipients or 0))

    async def _signal(self, session: Session, command: Signal) -> Success:
        check_message(command.message, self._settings.max_message, self._settings.max_depth)
        assert session.identity is not None
        session.identity.require_private()
        event = Signaled(command.message, session.user_id, session.connection_id)
        return sent(await self._backend.signal(command.connection_id, event))

    async def _recipient(self, session: Session, to: Recipient | str) -> tuple[str | None, str | None]:
        """Return the group or the user that `to` means (docs/protocol.md, "Commands"); the other one is None.

        A client without the right to private messages is not told either whether there is such a user.
        """
        assert session.identity is not None
        settings = self._settings
        if isinstance(to, str):
            if to == self._group_of(session) and to:
                return to, None
            if to:
                session.identity.require_private()
                check_name("to", to, max(settings.max_group_name, settings.max_user_id))
            if to and (_is_uuid(to) or await self._backend.connected(to)):
                return None, to
            if not to:
                raise invalid('"to" must be the name of a group or the id of a user; it is empty.')
            raise _no_recipient(to)
        if (to.group is None) == (to.user_id is None):
            raise invalid('"to" must have exactly one of "group" and "user_id".')
        if to.user_id is not None:
            session.identity.require_private()
            check_name("user_id", to.user_id, settings.max_user_id)
        elif to.group is not None:
            check_name("group", to.group, settings.max_group_name)
        return to.group, to.user_id

    async def _groups(self, session: Session, command: Groups) -> Page:
        assert session.identity is not None
        return await self._services.groups(session.identity, command)

    async def _users(self, session: Session, command: Users) -> Page:
        assert session.identity is not None
        return await self._services.users(session.identity, command, session.group)


def _is_uuid(text: str) -> bool:
    if len(text) != 36:
        return False
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _not_joined(group: str) -> CommandError:
    return CommandError(ErrorCode.INVALID_REQUEST, f'You are not in the group "{group}". To post to it, join it first.')


def _no_recipient(name: str) -> CommandError:
    text = (
        f'No user "{name}" is connected, and you are not in a group "{name}". To post to a group, join it first. '
        'To leave a message for a user who was connected lately, post to {"user_id": …}.'
    )
    return CommandError(ErrorCode.INVALID_REQUEST, text)
