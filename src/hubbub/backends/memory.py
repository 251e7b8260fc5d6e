"""The backend of a single process: plain data structures; no method waits, and nothing outlives the process."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from hubbub.auth.bans import Bans, TicketUse
from hubbub.auth.guest_keys import name_in_use
from hubbub.backends.base import Receiver
from hubbub.backends.memory_feed import MemoryFeed
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups.absences import ONLINE, Absences
from hubbub.groups.directory import Directory, Query
from hubbub.groups.feed import FeedWindow, Why
from hubbub.groups.feed_log import FeedLog
from hubbub.groups.history import KEY, Histories, History, Replay, Window
from hubbub.groups.idempotency import PostResults, scope_of
from hubbub.groups.kept_bytes import KeptBytes
from hubbub.groups.roster import Roster, UserQuery
from hubbub.groups.view_query import GroupUsers, NamedGroups, ViewPage, ViewQuery
from hubbub.limits import require_recipients
from hubbub.messages import Event, GroupRow, Message, NoticeCode, Page, Position, Private, Signaled, UserRow, notice

SWEEP = 1.0
"""Seconds between two removals of what is too old."""


class _Group:
    """One group: its members and its history."""

    __slots__ = ("history", "roster")

    def __init__(self, history: History) -> None:
        self.roster = Roster()
        self.history = history


class _User:
    """One user: the number of connections, the inbox, and the digest of a guest's key."""

    __slots__ = ("connections", "guest_key", "inbox")

    def __init__(self, inbox: History) -> None:
        self.connections = 0
        self.guest_key: bytes | None = None
        self.inbox = inbox


class MemoryBackend:
    """See `hubbub.backends.base.Backend` for what each method promises.

    Args:
        window: How much is kept for clients that reconnect.
        now: A monotonic clock, in seconds.
        feed_window: How much of the feed is kept.

    Attributes:
        feed: See `hubbub.backends.base.Backend.feed`.
    """

    immediate: ClassVar[bool] = True
    shared: ClassVar[bool] = False
    ready = True
    restarts: ClassVar[int] = 0

    def __init__(
        self,
        window: Window | None = None,
        now: Callable[[], float] = time.monotonic,
        feed_window: FeedWindow | None = None,
    ) -> None:
        self.notices = 0
        self.revision = 0
        self._window = window or Window()
        self._now = now
        self._receivers: list[Receiver] = []
        self._deliver: Callable[[str, Event], int] = self._deliver_to_all
        self._groups: dict[str, _Group] = {}
        self._directory = Directory()
        self._where: dict[str, str | None] = {}  # connection id -> group
        self._users: dict[str, _User] = {}
        # Groups without members, and users without connections, with the time since when; the oldest first.
        self._empty: OrderedDict[str, float] = OrderedDict()
        self._away: OrderedDict[str, float] = OrderedDict()
        # Nothing outlives the process, so each group and inbox gets an epoch that no process has used before.
        self._histories = Histories(self._window, secrets.token_urlsafe(6))
        self._post_results = PostResults(self._window.age, self._window.keys)
        self._kept_bytes = KeptBytes(self._window.user, 2 * self._window.age)
        self._absences = Absences()
        self._bans = Bans()
        self._listened: dict[str, int] = {}  # group -> listeners
        self._sent_off: set[str] = set()  # connection ids
        self._sweeping: asyncio.TimerHandle | None = None
        self._log = FeedLog(feed_window or FeedWindow(), now, time.time, partial(secrets.token_urlsafe, 6))
        self.feed = MemoryFeed(self._log, self._users_online, lambda: list(self._groups), self._members, self._absences)

    def attach(self, receiver: Receiver) -> None:
        """Add a node. As a rule it is the only one; messages are then delivered to it directly."""
        self._receivers.append(receiver)
        self._deliver = receiver.deliver if len(self._receivers) == 1 else self._deliver_to_all

    async def start(self) -> None:
        """Start the removal of what is too old."""
        self._sweep_again()

    async def close(self) -> None:
        """Stop the removal of what is too old."""
        if self._sweeping is not None:
            self._sweeping.cancel()

    def sweep(self) -> None:
        """Remove what is older than the window, and announce users who did not come back. Called by a timer."""
        now = self._now()
        for group, user in self._absences.expire(now):
            self._stayed_away(group, user, now)
        self._histories.sweep(now)
        self._post_results.sweep(now)
        self._bans.sweep(now)
        self._kept_bytes.sweep(now)
        self._log.sweep()
        old = now - self._window.age
        for listened in self._listened.keys() & self._empty.keys():
            self._empty[listened] = now
            self._empty.move_to_end(listened)
        idle_groups = self._window.idle_groups + len(self._listened)
        while (name := _pop_oldest(self._empty, old, idle_groups)) is not None:
            self._histories.forget(self._groups.pop(name).history)
        while (user_id := _pop_oldest(self._away, old, self._window.idle_groups)) is not None:
            self._histories.forget(self._users.pop(user_id).inbox)

    async def connect(
        self,
        user: UserRow,
        most: int,
        since: Position | None = None,
        ticket: TicketUse | None = None,
        guest_key: bytes | None = None,
    ) -> Replay:
        """Count the connection."""
        entry, now = self._users.get(user.user_id), self._now()
        self._bans.require_free(user.user_id, now)
        if entry is not None and entry.guest_key != guest_key:
            if entry.connections:
                raise name_in_use(user.user_id)
            self._histories.forget(entry.inbox)  # another guest takes a name that is free
            entry.inbox = self._histories.new(self._window.inbox)
            entry.guest_key = guest_key
        if entry is not None and entry.connections >= most:
            raise CommandError(ErrorCode.INVALID_REQUEST, f"A user may have at most {most} connections.")
        if ticket is not None:
            self._bans.spend(ticket, user.user_id, now)
        if entry is None:
            entry = self._users[user.user_id] = _User(self._histories.new(self._window.inbox))
            entry.guest_key = guest_key
        elif not entry.connections:
            del self._away[user.user_id]
        entry.connections += 1
        self._where[user.connection_id] = None
        if not self._absences.end(ONLINE, user.user_id) and entry.connections == 1 and self._log.on:
            self._log.online(user, "connected")
        return entry.inbox.replay(since, 0)

    async def remove_connection(self, user: UserRow) -> None:
        """Remove the connection from its group and from the count."""
        if user.connection_id not in self._where:
            return
        sent_off = user.connection_id in self._sent_off
        self._sent_off.discard(user.connection_id)
        self._leave(user, None if sent_off else "USER_DISCONNECTED")
        del self._where[user.connection_id]
        entry = self._users[user.user_id]
        entry.connections -= 1
        if not entry.connections:
            if self._log.on and not self._absences.expects(ONLINE, user.user_id):
                self._log.offline(user, "disconnected")
            if self._window.inbox:
                self._away[user.user_id] = self._now()
            else:
                del self._users[user.user_id]

    async def send_off(self, users: Iterable[UserRow]) -> None:
        """Begin an absence for each connection that is in a group."""
        until = self._now() + self._window.restart_grace
        for user in users:
            if (group := self._where.get(user.connection_id)) is not None:
                self._sent_off.add(user.connection_id)
                self._absences.begin(group, user, until)
            if self._log.on and user.connection_id in self._where:
                self._absences.begin(ONLINE, user, until)

    async def shared_secret(self) -> None:
        """Return None: there is no other node."""

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        """Leave the old group, join the new one, tell the others: in one step, so nothing can come between."""
        entry = self._groups.get(group)
        if self._where[user.connection_id] != group:
            self._leave(user, "USER_LEFT")
            if entry is None:
                entry = self._groups[group] = _Group(self._histories.new(self._window.messages))
            self._empty.pop(group, None)
            connections = entry.roster.add(user)
            self._where[user.connection_id] = group
            self._directory.put(group, entry.roster.number_of_users, len(entry.roster.rows))
            self.revision = entry.roster.revision = self.revision + 1
            if not self._absences.end(group, user.user_id):
                self._announce("USER_JOINED", group, user, connections)
                if connections == 1 and self._log.on:
                    users = entry.roster.number_of_users
                    opened = users == 1 and not self._absences.expects_anyone(group)
                    self._log.joined(group, user, "joined", users, opened=opened)
        assert entry is not None
        return entry.history.replay(since, history)

    async def leave(self, user: UserRow) -> None:
        """Leave the group, if there is one."""
        self._leave(user, "USER_LEFT")

    async def publish(
        self, message: Message, key: str | None = None, least: int = 0, *, keep: bool = True, echo: bool = True
    ) -> int:
        """Number the message, keep it and deliver it."""
        if keep and echo:
            return self.publish_now(message, key, least)
        return self._publish_quietly(message, key, least, keep=keep, echo=echo)

    def publish_now(self, message: Message, key: str | None = None, least: int = 0) -> int:
        """Do what `publish` does, without a coroutine."""
        group = self._groups.get(message.sender_rid)
        if key is not None:
            scope = scope_of(message.sender, f"group:{message.sender_rid}", key)
            if (known := self._post_results.get(scope)) is not None:
                return known
        if least:
            require_recipients(least, 0 if group is None else len(group.roster.rows))
        if group is None:
            return 0
        kept = self._kept_bytes
        if key is None and not kept.exhausted and message.sender_cid is not None:
            # What `_keep` and `charge` do for a user with an account that stays below the limit, without the calls.
            if growth := group.history.append(message):
                sender, charged = message.sender, kept.charged
                size = charged.get(sender, 0) + growth
                if growth < size < kept.most and size > 0:
                    charged[sender] = size
                else:
                    kept.charge(sender, growth)
        else:
            self._keep(group.history, message, key)
        deliver = self._deliver
        recipients = deliver(message.sender_rid, message)
        if key is not None:
            self._post_results.put(scope, recipients)
        return recipients

    def _publish_quietly(self, message: Message, key: str | None, least: int, *, keep: bool, echo: bool) -> int:
        """Do what `publish_now` does for a message that is not kept, or not delivered to whoever has posted it."""
        name = message.sender_rid
        scope = scope_of(message.sender, "group:" + name, key or "")
        if key is not None and (known := self._post_results.get(scope)) is not None:
            return known
        entry = self._groups.get(name)
        if least:
            own = not echo and self._where.get(message.sender_cid or "") == name
            require_recipients(least, 0 if entry is None else len(entry.roster.rows) - own)
        if entry is None:
            return 0
        if keep:
            self._keep(entry.history, message, key)
        else:
            message.seq = None
        recipients = sum((each.deliver if echo else each.announce)(name, message) for each in self._receivers)
        if key is not None:
            self._post_results.put(scope, recipients)
        return recipients

    async def post_to_user(
        self,
        user_id: str,
        message: Private,
        key: str | None = None,
        least: int = 0,
        *,
        keep: bool = True,
        echo: bool = True,
    ) -> int:
        """Number the message, keep it and deliver it."""
        user = self._users.get(user_id)
        scope = scope_of(message.sender, f"user:{user_id}", key or "")
        if key is not None and (known := self._post_results.get(scope)) is not None:
            return known
        but = None if echo or message.sender != user_id else message.sender_cid
        require_recipients(least, 0 if user is None else user.connections - (but in self._where))
        if user is None:
            return 0
        if keep:
            self._keep(user.inbox, message, key)
        else:
            message.seq = None
        recipients = sum(receiver.deliver_to_user(user_id, message, but) for receiver in self._receivers)
        if key is not None:
            self._post_results.put(scope, recipients)
        return recipients

    async def find_post(
        self, sender: str, key: str, *, group: str | None = None, user_id: str | None = None
    ) -> int | None:
        """Look the key up."""
        return self._post_results.get(scope_of(sender, f"user:{user_id}" if group is None else f"group:{group}", key))

    async def listen(
        self, group: str, since: Position | None = None, history: int = 0, charged: str | None = None
    ) -> Replay:
        """Keep the group, as one without members, for as long as somebody listens. Nobody pays: see `join`."""
        self._listened[group] = self._listened.get(group, 0) + 1
        if group not in self._groups:
            self._groups[group] = _Group(self._histories.new(self._window.messages))
            self._empty[group] = self._now()
        return self._groups[group].history.replay(since, history)

    async def unlisten(self, group: str) -> None:
        """Keep the group no longer than others."""
        self._listened[group] -= 1
        if not self._listened[group]:
            del self._listened[group]
            if not self._window.messages and not self._groups[group].roster.rows:
                self._histories.forget(self._groups.pop(group).history)
                self._empty.pop(group, None)

    async def signal(self, connection_id: str, event: Signaled) -> int:
        """Deliver the signal to the node that has the connection."""
        return sum(receiver.deliver_to_connection(connection_id, event) for receiver in self._receivers)

    async def connected(self, user_id: str) -> bool:
        """Look the user up."""
        return self._is_connected(user_id)

    async def disconnect_user(self, user_id: str, for_seconds: float | None = None) -> int:
        """Ban the user if asked to, then tell the nodes."""
        now = self._now()
        if for_seconds is not None:
            self._bans.put(user_id, for_seconds, now)
        self._bans.withdraw(user_id, now)
        return sum(receiver.close_connections(user_id, None) for receiver in self._receivers)

    async def disconnect_connection(self, connection_id: str) -> int:
        """Tell the nodes."""
        return sum(receiver.close_connections(None, connection_id) for receiver in self._receivers)

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Ask the directory."""
        return self._directory.page(query, visible, time.thread_time)

    async def users(self, group: str, query: UserQuery) -> Page:
        """Ask the group."""
        entry = self._groups.get(group)
        return Page([], "end", True) if entry is None else entry.roster.page(query)

    def revision_of(self, query: ViewQuery) -> int:
        """Look the group up, or return that of the directory."""
        if not isinstance(query, GroupUsers):
            return self.revision
        entry = self._groups.get(query.group)
        return 0 if entry is None else entry.roster.revision

    async def view(self, query: ViewQuery, visible: Callable[[str], bool] | None = None) -> ViewPage:
        """Ask the directory or the group."""
        if isinstance(query, NamedGroups):
            rows = [self._directory.get(name) or GroupRow(name, 0, 0) for name in query.names]
            return ViewPage(rows, len(rows))
        if isinstance(query, GroupUsers):
            entry = self._groups.get(query.group)
            roster = Roster() if entry is None else entry.roster
            page, count = roster.page(query.query), roster.count(query.query.user_id)
            return ViewPage(page.list, count, page.start_key, page.end_of_list)
        page = self._directory.page(query.query, visible, time.thread_time)
        total = None if visible is not None else self._directory.count(query.matching)
        return ViewPage(page.list, total, page.start_key, page.end_of_list)

    async def count(self) -> tuple[int, int]:
        """Return the sizes."""
        return len(self._groups) - len(self._empty), len(self._where)

    def _keep(self, history: History, message: Message | Private, key: str | None) -> None:
        """Add the message to a history and charge its sender; raise ``RATE_LIMITED`` if the budget is spent."""
        sender, kept = message.sender, self._kept_bytes
        if message.sender_cid is None:  # from a server program, which has no budget
            history.append(message)
            return
        if sender in kept.exhausted and (key is not None or history.grows(message)):
            raise kept.refusal(self._now())
        growth = history.append(message) + (0 if key is None else KEY)
        if growth:
            kept.charge(sender, growth)

    def _is_connected(self, user_id: str) -> bool:
        return user_id in self._users and user_id not in self._away

    def _stayed_away(self, group: str, user: UserRow, now: float) -> None:
        if user.connection_id in (self._where if group == ONLINE else self._sent_off):  # it has not left yet
            self._absences.begin(group, user, now + self._window.restart_grace)
        elif group == ONLINE:
            if (
                self._log.on
                and not self._absences.expects(ONLINE, user.user_id)
                and not self._is_connected(user.user_id)
            ):
                self._log.offline(user, "not_back")
        else:
            entry = self._groups.get(group)
            connections = 0 if entry is None else entry.roster.connections_of(user.user_id)
            if entry is not None and entry.roster.rows:
                self._announce("USER_DISCONNECTED", group, user, connections)
            if not connections:
                self._log_left(group, user, "not_back", 0 if entry is None else entry.roster.number_of_users)

    def _log_left(self, group: str, user: UserRow, why: Why, users: int) -> None:
        """Add to the feed that a user, without connections in the group, is not there, unless it is expected back."""
        if self._log.on and not self._absences.expects(group, user.user_id):
            emptied = not users and not self._absences.expects_anyone(group)
            self._log.left(group, user, why, users, emptied=emptied)

    def _leave(self, user: UserRow, code: NoticeCode | None) -> None:
        group = self._where.get(user.connection_id)
        if group is None:
            return
        self._where[user.connection_id] = None
        if code == "USER_LEFT" and user.connection_id in self._sent_off:
            self._sent_off.discard(user.connection_id)
            self._absences.cancel(group, user)
        roster = self._groups[group].roster
        connections = roster.remove(user)
        self.revision = roster.revision = self.revision + 1
        if roster.rows:
            self._directory.put(group, roster.number_of_users, len(roster.rows))
            if code is not None:
                self._announce(code, group, user, connections)
        else:
            self._directory.remove(group)
            if self._window.messages or group in self._listened:
                self._empty[group] = self._now()
            else:
                del self._groups[group]
        if not connections:
            self._log_left(group, user, "left" if code == "USER_LEFT" else "disconnected", roster.number_of_users)

    def _users_online(self) -> list[str]:
        return [user_id for user_id in self._users if user_id not in self._away]

    def _members(self, group: str) -> Roster:
        entry = self._groups.get(group)
        return Roster() if entry is None else entry.roster

    def _deliver_to_all(self, group: str, event: Event) -> int:
        return sum(receiver.deliver(group, event) for receiver in self._receivers)

    def _announce(self, code: NoticeCode, group: str, user: UserRow, connections: int) -> None:
        self.notices += 1
        self._deliver(group, notice(code, group, user, connections))

    def _sweep_again(self) -> None:
        self.sweep()
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP, self._sweep_again)


def _pop_oldest(gone: OrderedDict[str, float], old: float, most: int) -> str | None:
    """Remove and return the oldest entry if it is from `old` or before, or if there are more than `most` entries."""
    if gone and (len(gone) > most or next(iter(gone.values())) <= old):
        return gone.popitem(last=False)[0]
    return None
