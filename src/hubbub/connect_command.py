"""The command that identifies a connection: by token, guest name or ticket, or by what the handshake has proved."""

from __future__ import annotations

from collections.abc import Callable

from hubbub.auth.authenticator import Authenticator
from hubbub.auth.bans import TicketUse
from hubbub.auth.guest_keys import guest_key_digest, new_guest_key
from hubbub.auth.identity import Identity
from hubbub.backends.base import Backend
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.fanout import Fanout
from hubbub.groups.history import Replay
from hubbub.hooks import Hooks
from hubbub.invisible import leave
from hubbub.messages import Connect, Position, UserRow, Welcome
from hubbub.session import AdoptIdentity, Replayed, Session
from hubbub.session_lifetime import NEVER
from hubbub.settings import Settings

_NO_POSITION = Position("", 0)


class ConnectCommand:
    """Identifies the sessions of one node, and renews their tokens.

    Args:
        node_id: The node's name, which clients are told.
        settings: The limits.
        backend: Counts connections and keeps inboxes.
        auth: Tells whom a token, guest name or ticket identifies.
        fanout: Where identified connections are added.
        now: Seconds on the clock of the event loop, which deadlines are measured by.
        hooks: What the app decides; None without an app.
        renewed: Called with each session that has got a fresh identity.

    Attributes:
        connecting: Sessions whose user is just being reported to the backend, with the user's id. They are not in the
            fan-out yet, but a kick must find them as well.
    """

    def __init__(
        self,
        node_id: str,
        settings: Settings,
        backend: Backend,
        auth: Authenticator,
        fanout: Fanout,
        now: Callable[[], float],
        hooks: Hooks | None = None,
        renewed: Callable[[Session], None] = lambda session: None,
    ) -> None:
        self._node_id = node_id
        self._settings = settings
        self._backend = backend
        self._auth = auth
        self._fanout = fanout
        self._now = now
        self._hooks = hooks
        self._renewed = renewed
        self.connecting: dict[Session, str] = {}

    async def connect(self, session: Session, command: Connect) -> Welcome | Replayed | None:
        """Identify a session, or renew its token; None if it was closed meanwhile.

        Raises:
            CommandError: See `hubbub.auth.authenticator.Authenticator.identify` and `hubbub.backends.base`;
                ``INVALID_REQUEST``, a ticket, or nothing at all, on a connection that is identified already.
        """
        renewed = session.identity is not None
        if renewed and command.ticket is not None:  # it may give more rights than the current token
            raise CommandError(ErrorCode.INVALID_REQUEST, "A ticket opens a new connection: renew this with a token.")
        if self._hooks is not None and self._hooks.connects and _is_bare(command):
            identity, ticket = await self._ask_app(session, self._hooks), None
        else:
            identity, ticket = await self._auth.identify(command)
        guest_key = (command.guest_key or new_guest_key()) if command.guest is not None and not renewed else None
        inbox = await self._identify_session(session, identity, command.since, ticket, guest_key)
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
        frames, welcome.replayed, welcome.gap = replay_frames(session, inbox, settings)
        welcome.inbox = inbox.position
        if guest_key is not None:
            welcome.guest_key = guest_key
        return Replayed(welcome, frames)

    async def adopt_identity(self, session: Session, command: AdoptIdentity) -> None:
        """Identify a session as its handshake has proved, or as the app says.

        There is no command to answer, so a refusal is sent as an event and followed by a close frame.
        """
        identity = command.identity
        try:
            if identity is None:
                assert self._hooks is not None
                identity = await self._ask_app(session, self._hooks)
            await self._identify_session(session, identity)
        except CommandError as error:
            refused = error.code in {ErrorCode.FORBIDDEN, ErrorCode.UNAUTHORIZED}
            if command.identity is None and not session.closing:
                self._fanout.send(session, session.wire.error(None, error))
                session.close(Close.DISCONNECTED if refused else Close.INTERNAL, self._now())
            elif refused:
                session.close(Close.DISCONNECTED, self._now())
            raise

    async def _ask_app(self, session: Session, hooks: Hooks) -> Identity:
        """Return who the app says that the client is.

        Raises:
            CommandError: See `hubbub.hooks.Hooks`; ``INVALID_REQUEST``, the session is identified already;
                ``UNAUTHORIZED``, the app does not know the client, or was asked before: what a handshake says about the
                client never changes.
        """
        if session.identity is not None:
            text = "This connection is identified: renew a token with a token; open a new connection for fresh cookies."
            raise CommandError(ErrorCode.INVALID_REQUEST, text)
        if session.app is None or session.app.handshake is None:
            text = "The app has refused this connection already: log in, then open a new connection."
            raise CommandError(ErrorCode.UNAUTHORIZED, text)
        session.ask_app(self._now())
        try:
            identity = await hooks.connect(session)
        finally:
            session.app_answered(self._now())
        if identity is None:
            how = "connect with a token, or log in" if self._auth.accepts_tokens else "log in"
            text = f"The app does not know who you are: {how}, then open a new connection."
            raise CommandError(ErrorCode.UNAUTHORIZED, text)
        return identity

    async def _identify_session(
        self,
        session: Session,
        identity: Identity,
        since: Position | None = None,
        ticket: TicketUse | None = None,
        guest_key: str | None = None,
    ) -> Replay | None:
        """Give the session its identity, or a fresh one of the same user.

        Returns:
            The private messages after `since`, none for a fresh identity; or None: the connection is gone or being
            closed, and there is nothing to answer.

        Raises:
            CommandError: ``FORBIDDEN``, the connection belongs to another user, or the user is banned, or the guest
                name is in use and `guest_key` is not its key;
                ``UNAUTHORIZED``, the ticket was used or withdrawn.
        """
        if session.closing:
            return None
        now = self._now()
        left = self._auth.seconds_left(identity)
        expires = NEVER if left is None else now + left
        if session.identity is not None:
            if session.user_id != identity.user_id:
                raise CommandError(
                    ErrorCode.FORBIDDEN,
                    f'The new token belongs to another user: renew with a token of "{session.user_id}", '
                    "or open another connection.",
                )
            session.identified(identity, expires, now)
            self._renewed(session)
            hidden = session.listens is not None and not identity.invisible
            if session.group is not None and (hidden or not identity.may_join(session.group)):
                await self._remove_from_group(session)
            return Replay(_NO_POSITION)
        self.connecting[session] = identity.user_id
        try:
            row = UserRow(identity.user_id, session.connection_id)
            key = None if guest_key is None else guest_key_digest(guest_key)
            inbox = await self._backend.connect(row, self._settings.max_connections_per_user, since, ticket, key)
        except CommandError as error:
            if error.code != ErrorCode.INVALID_REQUEST:
                raise
            session.close(Close.TOO_MANY_CONNECTIONS, now)
            return None
        finally:
            self.connecting.pop(session, None)
        if session.app is not None:
            session.app.handshake = None
        session.identified(identity, expires, self._now())
        return inbox if self._add_to_fanout(session) else None

    def _add_to_fanout(self, session: Session) -> bool:
        """Deliver to the session what its user is sent, unless it is being closed, perhaps by a kick."""
        if not session.closing:
            self._fanout.add(session)
        return not session.closing

    async def _remove_from_group(self, session: Session) -> None:
        """Remove the session from a group that its new token does not allow; nothing more is delivered from there.

        If the store cannot be told now, the connection is closed: otherwise it would stay listed in that group.
        """
        self._fanout.leave(session)
        try:
            await leave(self._backend, session)
        except CommandError:
            session.close(Close.INTERNAL, self._now())


def _is_bare(command: Connect) -> bool:
    """Whether the client leaves it to the app who it is."""
    return command.token is None and command.guest is None and command.ticket is None


def replay_frames(session: Session, replay: Replay, settings: Settings) -> tuple[list[bytes], int, bool]:
    """Return the frames to write, how many events they hold, and whether there is a gap.

    The replay must fit into the connection's queue, beside what the connection has not read yet, and into what may wait
    for all connections of the user. Otherwise nothing is replayed, which is a gap.
    """
    if not replay.events:
        return [], 0, replay.gap
    budget = session.budget
    unread = sum(map(len, session.outbox))
    if session in budget.slow:
        unread += budget.slow[session].get_write_buffer_size()
    room = min(settings.max_queue * 3 // 4 - unread, max(settings.max_queue_user, settings.max_queue) - budget.unread())
    if room <= 0:
        return [], 0, True
    frames = [session.wire.event(event) for event in replay.events]
    joined = b"".join(frames)  # one object: each frame of its own would take 40 bytes more
    if len(joined) > room:
        return [], 0, True
    return [joined], len(frames), replay.gap
