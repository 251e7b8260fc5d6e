"""One server process: its sessions and their deadlines, start and stop, and delivery to its connections."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

from msgspec import UNSET

from hubbub.admission import Admission
from hubbub.auth.authenticator import Authenticator
from hubbub.auth.identity import Identity
from hubbub.backends.base import Backend
from hubbub.clock import running_clock
from hubbub.commands import Commands
from hubbub.connect_command import ConnectCommand
from hubbub.counters import Counters
from hubbub.errors import Close, CommandError
from hubbub.fanout import Fanout
from hubbub.groups.cursors import Cursors
from hubbub.hooked_commands import HookedCommands, ended
from hubbub.hooks import Hooks
from hubbub.messages import Command, Connect, Gap, Message, Notice, Private, Restart, Signaled, UserRow
from hubbub.refused_origins import RefusedOrigins
from hubbub.services import Services
from hubbub.session import Session, run_now
from hubbub.session_lifetime import SessionLifetime
from hubbub.settings import Settings, secret_bytes
from hubbub.time_budget import TimeBudgets
from hubbub.watching.session_watches import SessionWatches, WatchRules
from hubbub.watching.streams import Streams
from hubbub.watching.views import Views

TICK = 0.25
"""Seconds between two checks of the sessions' deadlines."""

DRAIN_RATE = 1000.0
"""Least connections a second that are closed when the server stops; more if ``drain_spread`` requires it."""

DRAIN_STEP = 0.05
"""Seconds between two batches of connections that are closed when the server stops."""

RESTART_TIME = 1.0
"""Seconds that a server usually needs to be up again after the last connection was closed."""

log = logging.getLogger("hubbub.node")
_ORIGINS_LOG = logging.getLogger("hubbub.origins")


class Node:
    """Fan-out, backend and sessions of one process.

    Args:
        settings: The limits.
        backend: What is shared with other nodes; the node attaches itself to it.
        auth: Tells whom a token, guest name or ticket identifies.
        hooks: What an app decides; None without an app.

    Attributes:
        hooks: The same.
        node_id: A random name, unlike that of any other node.
        sessions: All sessions by connection id, identified or not.
        draining: Whether the node is stopping.
        now: Seconds on the clock of the event loop; all deadlines are measured by it.
        admission: The queue of new connections.
        budgets: How much of the loop's time each user may take.
        fanout: Delivers to the connections of this node.
        services: The operations that need no connection.
        views: The live queries, evaluated.
        watch_rules: What readers may watch.
        watches: The live queries of the connections.
        commands: Executes the commands of sessions.
        tasks: The tasks that run at present.
        before_close: Called when the node begins to close.
        feed_readers: How many requests read the feed at present.
        refused_pages: How many connections of refused pages are being closed.
        streams: The live lists over HTTP, and the readers of the feed.
        public_hosts: Hosts that are answered besides this machine while guests are accepted.
        tier: How the connections come: 1, on sockets of our own server; 2, taken over from uvicorn; 3, through ASGI.
    """

    def __init__(self, settings: Settings, backend: Backend, auth: Authenticator, hooks: Hooks | None = None) -> None:
        self.hooks = hooks
        self.settings = settings
        self.backend = backend
        self.auth = auth
        self.node_id = secrets.token_urlsafe(6)
        self.sessions: dict[str, Session] = {}
        self.draining = False
        self.counters = Counters()
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.admission = Admission(self.loop.call_later, self.now, time.thread_time)
        self.budgets = TimeBudgets(self.later, running_clock().refill or self.now, time.perf_counter)
        self.fanout = Fanout(self.after_tick)
        self.deliver = self.fanout.publish  # an attribute, since a method that calls it would cost a call per message
        self.cursors = Cursors()
        self.services = Services(settings, backend, self.counters, self.cursors)
        self.views = Views(self, time.perf_counter)
        self.watch_rules = WatchRules(settings, self.cursors)
        self.watches = SessionWatches(settings, self.views, self.watch_rules, self.fanout)
        renewed = self.watches.renewed
        connect = ConnectCommand(self.node_id, settings, backend, auth, self.fanout, self.now, hooks, renewed)
        self.connect_command = connect
        if hooks is None:
            self.commands: Commands = Commands(settings, backend, self.fanout, self.services, connect, self.watches)
        else:
            hooks.count_in(self.counters)
            self.commands = HookedCommands(settings, backend, self.fanout, self.services, connect, self.watches, hooks)
        self._waiting: frozenset[type[Command]] = frozenset() if hooks is None else hooks.commands
        if auth.waits:
            self._waiting |= {Connect}
        self.post_now = self.commands.post_now
        self.tasks: set[asyncio.Task[None]] = set()
        self.before_close: list[Callable[[], None]] = []
        self.refused_pages = 0
        self.streams = Streams()
        self.feed_readers = 0
        self.tier = 1
        self.public_hosts: frozenset[str] = frozenset()
        self._refused_origins = RefusedOrigins()
        self._ticking: asyncio.TimerHandle | None = None
        self._draining: asyncio.Task[None] | None = None
        backend.attach(self)

    # --- start, stop, time ---

    async def start(self) -> None:
        """Open the backend and the key set, and start to check deadlines."""
        await self.backend.start()
        await self._share_key()
        await self.auth.start()
        self._tick(self.now())

    async def close(self) -> None:
        """Abort the sessions that are left, finish their tasks, release backend and key set."""
        self.draining = True
        self.views.close()
        for call in self.before_close:
            call()
        if self._ticking is not None:
            self._ticking.cancel()
        for session in list(self.sessions.values()):
            session.link.abort()
            session.lost()
        await self._finish_tasks()
        if self.hooks is not None:
            self.hooks.close()
        await self.auth.close()
        await self.backend.close()

    async def _finish_tasks(self) -> None:
        """Wait for the tasks that are left; with hooks, no longer than ``shutdown_timeout``, and then cancel them."""
        ends = None if self.hooks is None else self.now() + self.settings.shutdown_timeout
        while self.tasks:
            left = None if ends is None else max(0.0, ends - self.now())
            _, late = await asyncio.wait(self.tasks, timeout=left)
            if late and left is not None and self.now() >= cast(float, ends):
                log.warning("%d hooks had not ended within shutdown_timeout, and were cancelled", len(late))
                for task in late:
                    task.cancel()
                await asyncio.wait(late, timeout=1.0)
                return

    async def drain(self) -> None:
        """Close the connections, spread over time, so that they do not all reconnect at the same moment.

        Each client is told when to reconnect: at once if there are other nodes; otherwise when this server can have
        been restarted.
        """
        await asyncio.shield(self.begin_drain())

    def begin_drain(self) -> asyncio.Task[None]:
        """Begin to drain, unless that has begun already; return the task that does it."""
        if self._draining is None:
            self.draining = True
            self._draining = self.spawn(self._drain())
        return self._draining

    async def _drain(self) -> None:
        sessions = list(self.sessions.values())
        steps = int(min(self.settings.drain_spread, len(sessions) / DRAIN_RATE) / DRAIN_STEP) + 1
        with suppress(CommandError):
            await self._share_key()
        after = 0.0 if self.backend.shared else steps * DRAIN_STEP + RESTART_TIME
        for step in range(steps):
            if step:
                await asyncio.sleep(DRAIN_STEP)
            await self._close_for_restart(sessions[step::steps], after)

    async def emptied(self, timeout: float) -> None:
        """Return when the last connection has ended, or after `timeout` seconds."""
        ends = self.now() + timeout
        while self.sessions and self.now() < ends:  # noqa: ASYNC110  # an event would cost each connection something
            await asyncio.sleep(DRAIN_STEP)

    async def _close_for_restart(self, sessions: list[Session], after: float) -> None:
        if self.settings.restart_grace:
            with suppress(CommandError):  # without the store, other members get leave and join notices
                await self.backend.send_off([session.row for session in sessions if session.identity is not None])
        for session in sessions:
            if session.identity is not None and not session.closing:
                restart = Restart(after, self.auth.tickets.issue(session.identity, after) or UNSET)
                if frame := session.wire.event(restart):  # the legacy dialect has no such event
                    self.fanout.send(session, frame)
            session.close(Close.GOING_AWAY, self.now())

    async def _share_key(self) -> None:
        secret = self.settings.secret
        shared = await self.backend.shared_secret() if secret is None else secret_bytes(secret)
        # A ticket would replace what `on_connect` says, and cannot hold `User.data`.
        self.auth.tickets.use(None if self.hooks is not None and self.hooks.connects else shared)
        self.cursors.use(shared)

    @property
    def ready(self) -> bool:
        """Whether the node can serve new connections now."""
        return not self.draining and self.backend.ready and self.auth.ready

    @property
    def asks_app(self) -> bool:
        """Whether an app says who a client is, by what is in its handshake, which may be a cookie."""
        return self.hooks is not None and self.hooks.connects

    @property
    def takes_handshake_tokens(self) -> bool:
        """Whether a token in a handshake is for us. With ``on_connect`` and without keys it is the app's own."""
        return not self.asks_app or self.auth.accepts_tokens

    @property
    def local_pages(self) -> bool:
        """Whether pages of this machine may connect, whatever the port: cookies ignore ports, so not with an app."""
        return self.settings.allow_guests and not self.asks_app

    @property
    def full(self) -> bool:
        """Whether there are as many connections as the settings allow, with those queued or refused, and streams."""
        others = self.admission.waiting + self.refused_pages + len(self.streams)
        return len(self.sessions) + others >= self.settings.max_connections

    def log_refused_origin(self, origin: str) -> None:
        """Log that a page of `origin` was refused, unless that was logged lately."""
        if line := self._refused_origins.line(origin, self.now()):
            _ORIGINS_LOG.warning("%s", line)

    def refused_page_ended(self) -> None:
        """Count the end of a connection in `refused_pages`."""
        self.refused_pages -= 1

    def after_tick(self, callback: Callable[[], object]) -> None:
        """Call `callback` after the loop has polled the sockets once more, or twice; in the order of the calls.

        That is when the fan-out writes, so messages that arrive during a poll share its writes. While a large group has
        frames to write, a second poll saves more writes than it costs: a third of all work with 20 groups of 100. On an
        idle node it adds a few microseconds.
        """
        self.loop.call_soon(self._after_poll, callback)

    def _after_poll(self, callback: Callable[[], object]) -> None:
        # `crowded` stays true until the flush, so no callback overtakes an earlier one.
        if self.fanout.crowded:
            self.loop.call_soon(self.loop.call_soon, callback)
        else:
            self.loop.call_soon(callback)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` after so many seconds; with 0, in the next turn of the loop."""
        if seconds:
            self.loop.call_later(seconds, callback)
        else:
            self.loop.call_soon(callback)

    def admit(self, session: Session) -> None:
        """Add a new session, identified or not, so that its deadlines are checked."""
        self.sessions[session.connection_id] = session

    def check_deadlines(self, now: float) -> None:
        """Do what is due at the deadlines of the sessions."""
        # One pass over all sessions is a comparison each: 1 ms for 20,000, and no timer that could leak.
        for session in [session for session in self.sessions.values() if session.deadline <= now]:
            session.tick(now)

    def _tick(self, due: float) -> None:
        now = self.now()
        self.counters.late(now - due)
        self.check_deadlines(now)
        self._ticking = self.loop.call_at(now + TICK, self._tick, now + TICK)

    # --- what sessions and transports call (`hubbub.session.Operations`) ---

    def send(self, session: Session, data: bytes) -> None:
        """Queue `data` behind everything that was sent to the connection before."""
        self.fanout.send(session, data)

    def waits(self, command: Command) -> bool:
        """Whether executing `command` may have to wait: for the backend, a hook or, for `Connect`, the key set."""
        return not self.backend.immediate or type(command) in self._waiting

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in a task that is kept until it ends."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def lost(self, session: SessionLifetime) -> None:
        """Write nothing more to the session, even if a command of it still runs: its transport would raise."""
        self.fanout.remove(session)
        if session.watches:
            self.watches.drop(session)

    def ended(self, session: SessionLifetime) -> None:
        """Remove a lost session from node and backend; its group gets a notice."""
        self.sessions.pop(session.connection_id, None)
        if session.identity is None:
            return
        self.budgets.leave(session.budget)
        work = self.commands.remove(session)
        if self.backend.immediate:
            run_now(work)
        else:
            self.spawn(work)
        if self.hooks is not None and (told := ended(self.hooks, session)) is not None:
            self.spawn(told)

    def who_is(self, user_id: str) -> Identity | None:
        """Return the identity of a user who is connected to this node; None for others."""
        connection = next(iter(self.fanout.users.get(user_id, {}).values()), None)
        return None if connection is None else self.sessions[connection.connection_id].identity

    # --- what the backend calls (`hubbub.backends.base.Receiver`) ---

    def deliver_to_connection(self, connection_id: str, event: Signaled) -> int:
        """Hand an event to one connection; return 1, or 0 if it is not here."""
        return self.fanout.signal(connection_id, event)

    def announce(self, group: str, event: Notice | Message) -> int:
        """Hand an event to everybody in the group here but the connection that it is about, or that has posted it."""
        return self.fanout.publish_to_others(group, event)

    def deliver_to_user(self, user_id: str, event: Private | Gap, but: str | None = None) -> int:
        """Hand a private message, or a gap among them, to the user's connections here; return how many that is."""
        recipients = self.fanout.post_to_user(user_id, event, but)
        if isinstance(event, Private):
            self.counters.privates += recipients
        return recipients

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> None:
        """Tell the app of connections that left groups because another node died."""
        if self.hooks is not None and (told := self.hooks.members_lost(lost)) is not None:
            self.spawn(told)

    def close_connections(self, user_id: str | None, connection_id: str | None) -> int:
        """Close the user's connections here, or one connection; return how many. Nothing more is delivered to them."""
        found: list[Session] = []
        if user_id is not None:
            self.streams.end(user_id)
            found = [self.sessions[each] for each in self.fanout.users.get(user_id, ())]
            connecting = self.connect_command.connecting
            found += [session for session, user in connecting.items() if user == user_id and not session.closing]
        elif connection_id is not None and connection_id in self.fanout.connections:
            found = [self.sessions[connection_id]]
        for session in found:
            session.close(Close.DISCONNECTED, self.now())
        return len(found)
