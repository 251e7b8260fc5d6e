"""One server process: the operations, for sessions and for the HTTP API. The only place where hub meets backend."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast
from uuid import UUID

import msgspec

from hubbub.auth import Authenticator
from hubbub.backends.base import Backend, ImmediateBackend
from hubbub.counters import Counters
from hubbub.directory import parse_query
from hubbub.errors import Close, CommandError, ErrorCode, invalid
from hubbub.hub import Hub
from hubbub.identity import Identity
from hubbub.limits import check_message, check_name
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
    UserRow,
    Users,
    Welcome,
    joined,
    sent,
)
from hubbub.roster import parse_user_query
from hubbub.session import NEVER, Enter, Session, run_now
from hubbub.settings import Settings

TICK = 0.25
"""Seconds between two looks at the sessions' deadlines."""

log = logging.getLogger("hubbub.node")


class Node:
    """The operations of one process.

    Args:
        settings: The limits.
        backend: What is shared with other nodes; the node attaches itself to it.
        auth: Tells who a token belongs to.
        wall: Unix time, seconds; tokens are compared with it.
    """

    def __init__(
        self, settings: Settings, backend: Backend, auth: Authenticator, *, wall: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self.backend = backend
        self.auth = auth
        self.node_id = secrets.token_urlsafe(6)
        self.sessions: dict[str, Session] = {}
        self.draining = False
        self.counters = Counters()
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self._wall = wall
        self.hub = Hub(self.loop.call_soon)
        self.send = self.hub.send
        self.deliver = self.hub.publish
        self.deliver_to_connection = self.hub.signal
        self._publish_now = cast(ImmediateBackend, backend).publish_now if backend.immediate else None
        self.tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._operations: dict[type, Callable[[Session, Any], Coroutine[Any, Any, Reply | None]]] = {
            Enter: self._enter,
            Connect: self._connect,
            Join: self._join,
            Leave: self._leave,
            Post: self._post,
            Signal: self._signal,
            Groups: self._groups,
            Users: self._users,
        }
        backend.attach(self)

    # --- start, stop, time ---

    async def start(self) -> None:
        """Open backend and keys, and start to look at deadlines."""
        await self.backend.start()
        await self.auth.start()
        self._tick(self.now())

    async def close(self) -> None:
        """Take out the sessions that are left, finish their tasks, release backend and keys."""
        self.draining = True
        if self._ticking is not None:
            self._ticking.cancel()
        for session in list(self.sessions.values()):
            session.link.abort()
            session.lost()
        while self.tasks:
            await asyncio.wait(self.tasks)
        await self.auth.close()
        await self.backend.close()

    @property
    def ready(self) -> bool:
        """Whether new connections can be served now."""
        return not self.draining and self.backend.ready and self.auth.ready

    @property
    def full(self) -> bool:
        """Whether there are as many connections as the settings allow."""
        return len(self.sessions) >= self.settings.max_connections

    def admit(self, session: Session) -> None:
        """Watch over a new session, identified or not."""
        self.sessions[session.connection_id] = session

    def _tick(self, due: float) -> None:
        # One pass over all sessions is a comparison each: 1 ms for 20,000, and no timer that could be left behind.
        now = self.now()
        self.counters.late(now - due)
        for session in [session for session in self.sessions.values() if session.deadline <= now]:
            session.tick(now)
        self._ticking = self.loop.call_at(now + TICK, self._tick, now + TICK)

    # --- what a session asks (`hubbub.session.Operations`) ---

    def waits(self, command: Command) -> bool:
        """Whether `command` may have to wait for the backend or, when it connects, for keys."""
        return not self.backend.immediate or (type(command) is Connect and self.auth.waits)

    def execute(self, session: Session, command: Command) -> Coroutine[Any, Any, Reply | None]:
        """Return the operation that `command` asks for, ready to be run."""
        return self._counted(type(command).__name__.lower(), self._operations[type(command)](session, command))

    async def _counted(self, command: str, work: Coroutine[Any, Any, Reply | None]) -> Reply | None:
        outcome = "ok"
        try:
            return await work
        except CommandError as error:
            outcome = error.code.value
            raise
        except Exception:
            outcome = ErrorCode.INTERNAL.value
            raise
        finally:
            self.counters.commands[command, outcome] += 1

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in a task that is kept until it ends."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def ended(self, session: Session) -> None:
        """Take a lost session out of everything; its group hears of it."""
        self.sessions.pop(session.connection_id, None)
        self.hub.remove(session)
        if session.identity is None:
            return
        work = self.backend.disconnect(session.row)
        if self.backend.immediate:
            run_now(work)
        else:
            self.spawn(work)

    async def _connect(self, session: Session, command: Connect) -> Welcome | None:
        identity = await self._identify(command)
        if not await self._take_in(session, identity):
            return None
        settings = self.settings
        return Welcome(
            identity.user_id,
            session.connection_id,
            self.node_id,
            settings.ping_interval,
            settings.max_message,
            identity.expires,
        )

    async def _identify(self, command: Connect) -> Identity:
        if (command.token is None) == (command.guest is None):
            raise invalid('"connect" needs either "token" or "guest".')
        if command.token is not None:
            return await self.auth.authenticate(command.token)
        assert command.guest is not None
        return self.auth.guest(command.guest)

    async def _enter(self, session: Session, command: Enter) -> None:
        await self._take_in(session, command.identity)

    async def _take_in(self, session: Session, identity: Identity) -> bool:
        """Give the session its identity, or a fresh one of the same user.

        Returns:
            Whether it is in; otherwise it is gone or being closed, and there is nothing to answer.

        Raises:
            CommandError: ``FORBIDDEN``, the connection belongs to another user already.
        """
        if session.closing:
            return False
        now = self.now()
        expires = NEVER if identity.expires is None else now + self._left(identity.expires)
        if session.identity is not None:
            if session.user_id != identity.user_id:
                raise CommandError(ErrorCode.FORBIDDEN, "The new token belongs to another user.")
            session.identified(identity, expires, now)
            if session.group is not None and not identity.may_join(session.group):
                await self._leave(session)
            return True
        try:
            row = UserRow(identity.user_id, session.connection_id)
            await self.backend.connect(row, self.settings.max_connections_per_user)
        except CommandError as error:
            if error.code != ErrorCode.INVALID_REQUEST:
                raise
            session.close(Close.TOO_MANY_CONNECTIONS, now)
            return False
        session.identified(identity, expires, now)
        if not session.gone:
            self.hub.add(session)
        return True

    def _left(self, expires: float) -> float:
        """Return how long a token is still good for; within the leeway one may come that has just ended."""
        left = expires - self._wall()
        return left if left > 0 else left + self.settings.leeway

    async def _join(self, session: Session, command: Join) -> Success:
        group = command.group
        if not group:
            return await self._leave(session)
        check_name("group", group, self.settings.max_group_name)
        assert session.identity is not None
        session.identity.require_group(group)
        if session.group != group:
            self.hub.leave(session)
        position = await self.backend.join(session.row, group)
        if session.group != group and not session.gone:
            self.hub.join(session, group)
        return joined(group, position)

    async def _leave(self, session: Session, _command: Leave | None = None) -> Success:
        self.hub.leave(session)
        await self.backend.leave(session.row)
        return LEFT

    def post_now(self, session: Session, post: Post) -> int | None:
        """Do the most frequent command, a post to the own group, without a coroutine if the backend never waits."""
        lane, to, settings = session.lane, post.to, self.settings
        if self._publish_now is None or lane is None:
            return None
        if to != lane.group and (isinstance(to, str) or to.group != lane.group or to.user_id is not None):
            return None
        check_message(post.message, settings.max_message, settings.max_depth)
        message = Message(post.message, session.user_id, session.connection_id, lane.group, 0)
        recipients = self._publish_now(message)
        self.counters.posts += 1
        self.counters.delivered += recipients
        return recipients

    async def _post(self, session: Session, command: Post) -> Success:
        check_message(command.message, self.settings.max_message, self.settings.max_depth)
        group, user_id = await self._recipient(session, command.to)
        if group is not None:
            if group != session.group:
                raise _not_joined(group)
            message = Message(command.message, session.user_id, session.connection_id, group, 0)
            return await self._publish(message)
        assert user_id is not None
        private = Private(command.message, session.user_id, session.connection_id)
        return sent(await self.backend.whisper(user_id, private))

    async def _signal(self, session: Session, command: Signal) -> Success:
        check_message(command.message, self.settings.max_message, self.settings.max_depth)
        event = Signaled(command.message, session.user_id, session.connection_id)
        return sent(await self.backend.signal(command.connection_id, event))

    async def _publish(self, message: Message) -> Success:
        recipients = await self.backend.publish(message)
        self.counters.published += 1
        self.counters.delivered += recipients
        return sent(recipients)

    async def _recipient(self, session: Session, to: Recipient | str) -> tuple[str | None, str | None]:
        """Return the group or the user that `to` means (design, section 2, "Posting"); the other one is None."""
        if isinstance(to, str):
            if to == session.group and to:
                return to, None
            if to and (_is_uuid(to) or await self.backend.connected(to)):
                return None, to
            if not to:
                raise invalid('"to" must name a group or a user.')
            raise _not_joined(to)
        if (to.group is None) == (to.user_id is None):
            raise invalid('"to" must have either "group" or "user_id".')
        if to.user_id is not None:
            check_name("user_id", to.user_id, self.settings.max_user_id)
        return to.group, to.user_id

    async def _groups(self, session: Session, command: Groups) -> Page:
        assert session.identity is not None
        return await self.groups(session.identity, command)

    async def _users(self, session: Session, command: Users) -> Page:
        assert session.identity is not None
        return await self.users(session.identity, command, session.group)

    # --- what the HTTP API asks ---

    async def groups(self, identity: Identity, command: Groups) -> Page:
        """Return a page of the groups that `identity` may join. Raises `CommandError` for a wrong query."""
        query = parse_query(command, self.settings.max_page)
        return await self.backend.groups(query, None if identity.groups is None else identity.may_join)

    async def users(self, identity: Identity, command: Users, own_group: str | None = None) -> Page:
        """Return a page of the connections in ``command.group``, or in `own_group` if it names none."""
        query = parse_user_query(command, self.settings.max_page)
        group = own_group if command.group is None else command.group
        if group is None:
            raise CommandError(ErrorCode.INVALID_REQUEST, '"group" is missing, and no group is joined.')
        check_name("group", group, self.settings.max_group_name)
        identity.require_group(group)
        return await self.backend.users(group, query)

    def who_is(self, user_id: str) -> Identity | None:
        """Return the identity of a user who is connected to this node."""
        connection = next(iter(self.hub.users.get(user_id, {}).values()), None)
        return None if connection is None else self.sessions[connection.connection_id].identity

    async def post_to_group(self, identity: Identity, group: str, message: msgspec.Raw) -> Success:
        """Post as the server: no membership needed, ``sender_cid`` is null. `identity` needs the server role."""
        identity.require_server()
        check_name("group", group, self.settings.max_group_name)
        identity.require_group(group)
        check_message(message, self.settings.max_message, self.settings.max_depth)
        return await self._publish(Message(message, identity.user_id, None, group, 0))

    async def post_to_user(self, identity: Identity, user_id: str, message: msgspec.Raw) -> Success:
        """Post to every connection of a user as the server. `identity` needs the server role."""
        identity.require_server()
        check_name("user_id", user_id, self.settings.max_user_id)
        check_message(message, self.settings.max_message, self.settings.max_depth)
        return sent(await self.backend.whisper(user_id, Private(message, identity.user_id, None)))

    async def disconnect_user(self, identity: Identity, user_id: str) -> int:
        """Close every connection of a user with 4003; return how many. `identity` needs the server role."""
        identity.require_server()
        return await self.backend.disconnect_user(user_id)

    async def disconnect_connection(self, identity: Identity, connection_id: str) -> int:
        """Close one connection with 4003; return 1, or 0 if there is none. `identity` needs the server role."""
        identity.require_server()
        return await self.backend.disconnect_connection(connection_id)

    # --- what the backend asks (`hubbub.backends.base.Receiver`); it delivers straight to the hub ---

    def deliver_to_user(self, user_id: str, event: Private) -> int:
        """Hand a private message to the user's connections here."""
        recipients = self.hub.whisper(user_id, event)
        self.counters.privates += recipients
        return recipients

    def disconnect(self, user_id: str | None, connection_id: str | None) -> int:
        """Close the user's connections here, or one connection."""
        found = list(self.hub.users.get(user_id, ())) if user_id is not None else []
        if connection_id is not None and connection_id in self.hub.connections:
            found.append(connection_id)
        for each in found:
            self.sessions[each].close(Close.DISCONNECTED, self.now())
        return len(found)


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
