"""How a connection lives and ends: its deadlines, its limits, its close. Pure: time is passed in.

=============  =======================================================================================
state          what may happen
=============  =======================================================================================
unidentified   only ``connect`` is answered; after ``identify_timeout`` the connection is closed (4001)
identified     every command; pings; closed when the token expires (4002) unless a new one came
closing        a close frame was sent; commands are ignored; aborted if the peer takes too long
gone           the transport has lost it; the backend is told, once, after the running command
=============  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hubbub.auth.identity import Identity
from hubbub.command_queue import CommandQueue
from hubbub.dialects.base import Wire
from hubbub.errors import Close
from hubbub.fanout import Fanout
from hubbub.hooks import AppSide
from hubbub.lanes import Connection
from hubbub.messages import UserRow
from hubbub.rate_limit import RateLimit
from hubbub.settings import Settings
from hubbub.time_budget import TimeBudgets
from hubbub.watching.view import Watcher

CLOSE_TIMEOUT = 3.0
"""Seconds that the peer has to answer a close frame before the connection is aborted."""

SLOW_READER_CLOSE_TIMEOUT = 1.0
"""The same for a peer that reads too slowly, and will hardly get as far as the close frame."""

NEVER = float("inf")

_RIGHTS_ENDED = frozenset((Close.TOKEN_EXPIRED, Close.DISCONNECTED))


class SessionOwner(Protocol):
    """What the lifetime of a session needs from the node."""

    settings: Settings
    budgets: TimeBudgets
    fanout: Fanout

    def lost(self, session: SessionLifetime) -> None:
        """Take the session out of the fan-out: nothing may be written to it from now on."""
        ...

    def ended(self, session: SessionLifetime) -> None:
        """Take the session out of the backend, at once or in a task. Called after `lost`, when no command runs."""
        ...


class Link(Protocol):
    """What a session asks of its transport."""

    def close(self, code: Close) -> None:
        """Start the closing handshake, behind everything that was sent before."""
        ...

    def ping(self) -> None:
        """Send a ping."""
        ...

    def abort(self) -> None:
        """Cut the connection at once, without a closing handshake."""
        ...


class SessionLifetime(Connection):
    """A connection with an identity, deadlines and limits. `hubbub.session.Session` adds its commands.

    Args:
        connection_id: What no other connection has.
        wire: Encodes what is written.
        write: Writes bytes to the transport.
        link: The transport.
        node: What the session belongs to.
        now: Seconds on the clock of the event loop, as everywhere in this class.

    Attributes:
        identity: Who the client is; None until it has identified itself.
        budget: The time and bytes that its user has left on this node.
        deadline: When `tick` has something to do.
        expires: When the token expires.
        silent: When a client that sends keep-alive frames counts as gone.
        heard: Whether the peer has sent anything since the last ping interval began.
        pinged: Whether a ping waits for its answer.
        paused: Whether the transport has stopped reading.
        restricted: Whether the identity limits the groups that may be posted to.
        rights_ended: Whether it was closed because the client has no rights any more: kicked, or its token has expired.
        app: What the app knows of the connection; None on a node without hooks.
        listens: The group that it is in invisibly, so that the backend keeps the group for it; None for none.
        slow: Whether the client has not read what was sent before.
        watches: The live queries by their numbers; None before the first one.
        closing: Whether the closing handshake has begun.
        gone: Whether the transport has lost the connection.
    """

    # fmt: off
    __slots__ = (
        "_asking", "_busy", "_node", "_queue", "_rate", "_time_left", "app", "budget",
        "closing", "deadline", "expires", "gone", "heard", "identity", "link", "listens", "paused", "pinged",
        "restricted", "rights_ended", "silent", "slow", "watches",
    )
    # fmt: on
    wire: Wire

    def __init__(
        self,
        connection_id: str,
        wire: Wire,
        write: Callable[[bytes], object],
        link: Link,
        node: SessionOwner,
        now: float,
    ) -> None:
        super().__init__(connection_id, wire, write)
        self.link = link
        self.identity: Identity | None = None
        self.expires = NEVER
        self.silent = NEVER
        self.deadline = now + node.settings.identify_timeout
        self.heard = True
        self.pinged = False
        self.closing = False
        self.gone = False
        self._node = node
        self._busy = False
        self._queue: CommandQueue | None = None
        limit = node.settings.rate_limit
        self._rate = RateLimit(limit, node.settings.rate_burst, now) if limit else None
        self.budget = node.budgets.unidentified
        self.paused = False
        self._time_left = NEVER
        self._asking = False
        self.restricted = False
        self.rights_ended = False
        self.app: AppSide | None = None
        self.listens: str | None = None
        self.slow = False
        self.watches: dict[int, Watcher] | None = None

    @property
    def row(self) -> UserRow:
        """The connection as it appears in listings."""
        return UserRow(self.user_id, self.connection_id)

    def identified(self, identity: Identity, expires: float, now: float) -> None:
        """Take on an identity, or a fresh one of the same user, until `expires`."""
        if self.identity is None:
            self.budget = self._node.budgets.enter(identity.user_id)
        self.identity = identity
        self.user_id = identity.user_id
        self.restricted = identity.post is not None
        self.expires = expires
        if not self.closing:
            self.deadline = min(expires, now + self._node.settings.ping_interval)

    # --- limits ---

    def pause(self, now: float) -> None:
        """Note that the transport has stopped reading, because the budget is used up: until `resume`, silence is fine.

        The time to identify stands still meanwhile.
        """
        if not self.paused:
            self.paused = True
            if not self._asking:
                self._stop_clock(now)

    def resume(self, now: float) -> None:
        """Note that the transport reads again."""
        self.paused, self.heard = False, True
        if self.silent != NEVER:
            self.silent = now + self.wire.dialect.silence
        if not self._asking:
            self._start_clock(now)

    def ask_app(self, now: float) -> None:
        """Note that the app is asked who the client is: until `app_answered` the time to identify stands still."""
        self._asking = True
        if not self.paused:
            self._stop_clock(now)

    def app_answered(self, now: float) -> None:
        """Note that the app has answered."""
        self._asking = False
        if not self.paused:
            self._start_clock(now)

    def _stop_clock(self, now: float) -> None:
        if self.identity is None and not self.closing:
            self._time_left, self.deadline = self.deadline - now, NEVER

    def _start_clock(self, now: float) -> None:
        if self.identity is None and not self.closing:
            self.deadline = now + self._time_left

    def waste(self, now: float) -> None:
        """Count a frame that costs time and does nothing: refused by the rate limit, a control frame, a tiny fragment.

        A few are normal. With more than `hubbub.rate_limit.WASTED_PER_COMMAND` for each command that is allowed, at
        once or in the long run, the connection is closed with 4007; if the client still goes on, it is aborted.
        """
        if self._rate is not None and self._rate.waste(now):
            if self.closing:
                self.link.abort()
            else:
                self.close(Close.FLOODING, now)

    def tick(self, now: float) -> None:
        """Do what is due at `deadline`: close unidentified, expired and silent connections, ping idle ones."""
        if now < self.deadline:
            return
        if self.closing:
            self.link.abort()
        elif self.identity is None:
            self.close(Close.NOT_IDENTIFIED, now)
        elif now >= self.expires:
            self.close(Close.TOKEN_EXPIRED, now)
        elif ((self.pinged and not self.heard) or now >= self.silent) and not self.paused:
            self.close(Close.PING_TIMEOUT, now)
        else:
            self.pinged = not self.heard
            if self.pinged:
                self.link.ping()
            self.heard = False
            self.deadline = min(self.expires, now + self._node.settings.ping_interval)

    # --- the end ---

    def close(self, code: Close, now: float) -> None:
        """Close the connection with `code`; everything sent before is still written.

        Queued commands are still executed, since they came before the close, unless the client has lost the right to
        them (4002, 4003).
        """
        if not self.closing:
            if code in _RIGHTS_ENDED:
                self.rights_ended = True
                if self._queue is not None:
                    self._queue.clear()
            self.ending(now, SLOW_READER_CLOSE_TIMEOUT if code is Close.TOO_SLOW else CLOSE_TIMEOUT)
            self.link.close(code)

    def ending(self, now: float, timeout: float = CLOSE_TIMEOUT) -> None:
        """Note that the closing handshake has begun: new commands are ignored, and nothing more is delivered.

        The peer may take its time to answer the close frame. It must not receive what its group and its user are sent
        meanwhile, since it may have lost the right to it (4002, 4003).
        """
        self.closing = True
        self._node.fanout.silence(self)
        self.deadline = now + timeout

    def lost(self) -> None:
        """Note that the transport has lost the connection. Calling it again changes nothing."""
        if not self.gone:
            self.gone = self.closing = True
            if self._queue is not None:
                self._queue.clear()
            self._node.lost(self)
            if not self._busy:
                self._node.ended(self)
