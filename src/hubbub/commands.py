"""What each command of a connection does: where fan-out and backend meet."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, cast
from uuid import UUID

from hubbub.auth.authenticator import Authenticator
from hubbub.auth.bans import TicketUse
from hubbub.auth.identity import Identity
from hubbub.auth.tickets import Tickets
from hubbub.backends.base import Backend, ImmediateBackend
from hubbub.counters import Counters
from hubbub.errors import Close, CommandError, ErrorCode, invalid
from hubbub.fanout import Fanout
from hubbub.groups.history import Replay
from hubbub.limits import check_key, check_message, check_name, check_recipient
from hubbub.messages import (
    LEFT,
    Command,
    Connect,
    Groups,
    Join,
    Leave,
    Message,
    Page,
    Position,
    Post,
    Private,
    Recipient,
    Reply,
    Signal,
    Signaled,
    Success,
    UserRow,
    Users,
    Welcome,
    joined,
    sent,
)
from hubbub.services import Services
from hubbub.session import NEVER, AdoptIdentity, Replayed, Session
from hubbub.settings import Settings
from hubbub.time_budget import DELIVERY

_NOWHERE = Position("", 0)


class Commands:
    """The commands of the sessions of one node.

    Args:
        node_id: What clients are told that the node is called.
        settings: The limits.
        backend: What is shared with other nodes.
        auth: Tells who a token belongs to.
        fanout: Who is here.
        services: What the commands have in common with the HTTP API.
        counters: Where posts are counted.
        tickets: Tells who a ticket belongs to.
        now: The clock of the sessions' deadlines, seconds.
        wall: Unix time, seconds; tokens are compared with it.

    Attributes:
        entering: The sessions whose user the backend is just being told of, with the user's id. They are not in the
            hub yet, but whoever ends the user's connections must find them as well.
    """

    def __init__(
        self,
        node_id: str,
        settings: Settings,
        backend: Backend,
        auth: Authenticator,
        fanout: Fanout,
        services: Services,
        counters: Counters,
        tickets: Tickets,
        *,
        now: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._node_id = node_id
        self._settings = settings
        self._backend = backend
        self._auth = auth
        self._fanout = fanout
        self._services = services
        self._counters = counters
        self._tickets = tickets
        self._now = now
        self._wall = wall
        self.entering: dict[Session, str] = {}
        self._publish_now = cast(ImmediateBackend, backend).publish_now if backend.immediate else None
        self._table: dict[type, Callable[[Session, Any], Coroutine[Any, Any, Reply | Replayed | None]]] = {
            AdoptIdentity: self._adopt_identity,
            Connect: self._connect,
            Join: self._join,
            Leave: self._leave,
            Post: self._post,
            Signal: self._signal,
            Groups: self._groups,
            Users: self._users,
        }

    async def execute(self, session: Session, command: Command) -> Reply | Replayed | None:
        """Do what `command` says, and count how that ended. See `hubbub.session.Operations`."""
        outcome = "ok"
        began = time.perf_counter()
        try:
            return await self._table[type(command)](session, command)
        except CommandError as error:
            outcome = error.code.value
            raise
        except Exception:
            outcome = ErrorCode.INTERNAL.value
            raise
        finally:
            self._counters.commands[type(command).__name__.lower(), outcome] += 1
            if self._backend.immediate:  # otherwise most of it was waiting
                session.budget.left -= time.perf_counter() - began

    def post_now(self, session: Session, post: Post) -> int | None:
        """Do the most frequent command, a post to the own group, without a coroutine if the backend never waits."""
        lane, to, settings = session.lane, post.to, self._settings
        if self._publish_now is None or lane is None:
            return None
        if to != lane.group if isinstance(to, str) else to.group != lane.group or to.user_id is not None:
            return None
        check_message(post.message, settings.max_message, settings.max_depth)
        message = Message(post.message, session.user_id, session.connection_id, lane.group, 0)
        if post.key is None and post.min_recipients is None:
            recipients = self._publish_now(message)
        else:
            check_key(post.key, post.min_recipients)
            recipients = self._publish_now(message, post.key, post.min_recipients or 0)
        self._counters.posts += 1
        self._counters.delivered += recipients
        session.budget.left -= recipients * DELIVERY
        return recipients

    async def _connect(self, session: Session, command: Connect) -> Welcome | Replayed | None:
        renewed = session.identity is not None
        if renewed and command.ticket is not None:  # it may give more than the token that is there now
            raise CommandError(ErrorCode.INVALID_REQUEST, "A ticket opens a new connection: renew this with a token.")
        identity, ticket = await self._identify(command)
        inbox = await self._take_in(session, identity, command.since, ticket)
        if inbox is None:
            return None
        settings = self._settings
        welcome = Welcome(
            identity.user_id,
            session.connection_id,
            self._node_id,
            settings.ping_interval,
            settings.max_message,
            identity.expires,
        )
        if renewed:
            return welcome
        frames, welcome.replayed, welcome.gap = self._frames(session, inbox)
        welcome.inbox = inbox.position
        return Replayed(welcome, frames)

    def _frames(self, session: Session, replay: Replay) -> tuple[list[bytes], int, bool]:
        """Return what has to be written, of how many events that is, and whether there is a gap.

        All of it must fit into the connection's queue, beside what has not been read of it yet, and into what may wait
        for all connections of the user. Otherwise nothing is replayed, and that is a gap.
        """
        if not replay.events:
            return [], 0, replay.gap
        budget, settings = session.budget, self._settings
        waiting = sum(map(len, session.outbox))
        if session in budget.slow:
            waiting += budget.slow[session].get_write_buffer_size()
        room = min(
            settings.max_queue * 3 // 4 - waiting, max(settings.max_queue_user, settings.max_queue) - budget.unread()
        )
        if room <= 0:
            return [], 0, True
        frames = [session.wire.event(event) for event in replay.events]
        joined_up = b"".join(frames)  # one object: each frame of its own would take 40 bytes more
        if len(joined_up) > room:
            return [], 0, True
        return [joined_up], len(frames), replay.gap

    async def _identify(self, command: Connect) -> tuple[Identity, TicketUse | None]:
        given = (command.token, command.guest, command.ticket)
        if sum(each is not None for each in given) != 1:
            raise invalid('"connect" needs either "token", "guest" or "ticket".')
        if command.token is not None:
            return await self._auth.authenticate(command.token), None
        if command.ticket is not None:
            return self._tickets.check(command.ticket)
        assert command.guest is not None
        return self._auth.guest(command.guest), None

    async def _adopt_identity(self, session: Session, command: AdoptIdentity) -> None:
        try:
            await self._take_in(session, command.identity)
        except CommandError as error:
            if error.code == ErrorCode.FORBIDDEN:  # nothing was asked that could be answered: the close code says it
                session.close(Close.DISCONNECTED, self._now())
            raise

    async def _take_in(
        self, session: Session, identity: Identity, since: Position | None = None, ticket: TicketUse | None = None
    ) -> Replay | None:
        """Give the session its identity, or a fresh one of the same user.

        Returns:
            The private messages after `since`, none for a fresh identity; or None: it is gone or being closed, and
            there is nothing to answer.

        Raises:
            CommandError: ``FORBIDDEN``, the connection belongs to another user already, or the user is kept out;
                ``UNAUTHORIZED``, the ticket was used or withdrawn.
        """
        if session.closing:
            return None
        now = self._now()
        expires = NEVER if identity.expires is None else now + self._left(identity.expires)
        if session.identity is not None:
            if session.user_id != identity.user_id:
                raise CommandError(ErrorCode.FORBIDDEN, "The new token belongs to another user.")
            session.identified(identity, expires, now)
            if session.group is not None and not identity.may_join(session.group):
                await self._put_out(session)
            return Replay(_NOWHERE)
        self.entering[session] = identity.user_id
        try:
            row = UserRow(identity.user_id, session.connection_id)
            inbox = await self._backend.connect(row, self._settings.max_connections_per_user, since, ticket)
        except CommandError as error:
            if error.code != ErrorCode.INVALID_REQUEST:
                raise
            session.close(Close.TOO_MANY_CONNECTIONS, now)
            return None
        finally:
            self.entering.pop(session, None)
        session.identified(identity, expires, now)
        return inbox if self._let_in(session) else None

    def _let_in(self, session: Session) -> bool:
        """Let the session hear what is for its user, unless it is being closed, perhaps by a kick."""
        if not session.closing:
            self._fanout.add(session)
        return not session.closing

    async def _put_out(self, session: Session) -> None:
        """Take the session out of a group that its new token does not allow; it hears nothing more from there.

        If the store cannot be told now, the connection ends: it would stay listed where it may not be.
        """
        self._fanout.leave(session)
        try:
            await self._backend.leave(session.row)
        except CommandError:
            session.close(Close.INTERNAL, self._now())

    def _left(self, expires: float) -> float:
        """Return how long a token is still good for; within the leeway one may come that has just ended."""
        left = expires - self._wall()
        return left if left > 0 else left + self._settings.leeway

    async def _join(self, session: Session, command: Join) -> Success | Replayed:
        group = command.group
        if not group:
            return await self._leave(session)
        check_name("group", group, self._settings.max_group_name)
        assert session.identity is not None
        session.identity.require_group(group)
        if command.history < 0:
            raise invalid(f'"history" must be 0 or more, not {command.history}.')
        before = session.group
        if before != group or command.since is not None:
            self._fanout.leave(session)  # what is delivered from here on is not for it, or part of what is replayed
        try:
            replay = await self._backend.join(session.row, group, command.since, command.history)
        except CommandError:
            self._stay(session, before)
            raise
        # From here to the end of the answer nothing may wait: what is delivered next must come behind what is replayed.
        self._stay(session, group)
        frames, replayed, gap = self._frames(session, replay)
        return Replayed(joined(group, replay.position, replayed, gap=gap), frames)

    async def _leave(self, session: Session, _command: Leave | None = None) -> Success:
        before = session.group
        self._fanout.leave(session)
        try:
            await self._backend.leave(session.row)
        except CommandError:
            self._stay(session, before)
            raise
        return LEFT

    def _stay(self, session: Session, group: str | None) -> None:
        """Let the session hear `group`, unless it is being closed or does already."""
        if group is not None and session.group != group and not session.closing:
            self._fanout.join(session, group)

    async def _post(self, session: Session, command: Post) -> Success:
        check_message(command.message, self._settings.max_message, self._settings.max_depth)
        check_key(command.key, command.min_recipients)
        check_recipient(command.to, self._settings.max_group_name, self._settings.max_user_id)
        group, user_id = await self._recipient(session, command.to)
        if group is not None:
            if group != session.group:
                raise _not_joined(group)
            message = Message(command.message, session.user_id, session.connection_id, group, 0)
            return await self._services.publish(message, command.key, command.min_recipients or 0)
        assert user_id is not None
        private = Private(command.message, session.user_id, session.connection_id)
        return sent(await self._backend.post_to_user(user_id, private, command.key, command.min_recipients or 0))

    async def _signal(self, session: Session, command: Signal) -> Success:
        check_message(command.message, self._settings.max_message, self._settings.max_depth)
        assert session.identity is not None
        session.identity.require_private()
        event = Signaled(command.message, session.user_id, session.connection_id)
        return sent(await self._backend.signal(command.connection_id, event))

    async def _recipient(self, session: Session, to: Recipient | str) -> tuple[str | None, str | None]:
        """Return the group or the user that `to` means (design, section 2, "Posting"); the other one is None.

        Who may post nothing private does not learn either whether there is such a user.
        """
        assert session.identity is not None
        settings = self._settings
        if isinstance(to, str):
            if to == session.group and to:
                return to, None
            if to:
                session.identity.require_private()
                check_name("to", to, max(settings.max_group_name, settings.max_user_id))
            if to and (_is_uuid(to) or await self._backend.connected(to)):
                return None, to
            if not to:
                raise invalid('"to" must name a group or a user.')
            raise _not_joined(to)
        if (to.group is None) == (to.user_id is None):
            raise invalid('"to" must have either "group" or "user_id".')
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
    # The text of the original service, which its users know.
    text = f'User has not joined to the recipient group. Run joinRealtime({{ group: "{group}" }})'
    return CommandError(ErrorCode.INVALID_REQUEST, text)
