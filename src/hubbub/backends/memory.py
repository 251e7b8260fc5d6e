"""The backend of a single process: plain structures, nothing waits, everything is gone with the process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import count
from typing import ClassVar

from hubbub.backends.base import Receiver
from hubbub.directory import Directory, Query
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Event, Message, NoticeCode, Page, Position, Private, Signaled, UserRow, notice
from hubbub.roster import Roster, UserQuery


class _Group:
    """One group: who is in it and where its order of messages stands."""

    __slots__ = ("epoch", "roster", "seq")

    def __init__(self, epoch: str) -> None:
        self.roster = Roster()
        self.epoch = epoch
        self.seq = 0


class MemoryBackend:
    """See `hubbub.backends.base.Backend` for what each method promises."""

    immediate: ClassVar[bool] = True
    ready = True

    def __init__(self) -> None:
        self.notices = 0
        self._receivers: list[Receiver] = []
        self._deliver: Callable[[str, Event], int] = self._deliver_to_all
        self._groups: dict[str, _Group] = {}
        self._directory = Directory()
        self._where: dict[str, str | None] = {}  # connection id -> group
        self._connections: dict[str, int] = {}  # user id -> number
        # A group that vanished and came back is another one: its messages are counted from 1 again, so each new group
        # gets an epoch that was never used, in this process or another.
        self._boot = secrets.token_urlsafe(6)
        self._epochs = count(1)

    def attach(self, receiver: Receiver) -> None:
        """Add a node. As a rule it stays the only one, and messages go to it without a detour."""
        self._receivers.append(receiver)
        self._deliver = receiver.deliver if len(self._receivers) == 1 else self._deliver_to_all

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to release."""

    async def connect(self, user: UserRow, most: int) -> None:
        """Count the connection."""
        number = self._connections.get(user.user_id, 0)
        if number >= most:
            raise CommandError(ErrorCode.INVALID_REQUEST, f"A user may have at most {most} connections.")
        self._connections[user.user_id] = number + 1
        self._where[user.connection_id] = None

    async def disconnect(self, user: UserRow) -> None:
        """Take the connection out of its group and out of the count."""
        if user.connection_id not in self._where:
            return
        self._leave(user, "USER_DISCONNECTED")
        del self._where[user.connection_id]
        self._connections[user.user_id] -= 1
        if not self._connections[user.user_id]:
            del self._connections[user.user_id]

    async def join(self, user: UserRow, group: str) -> Position:
        """Leave the group before, enter the new one, tell the others."""
        entry = self._groups.get(group)
        if self._where[user.connection_id] != group:
            self._leave(user, "USER_LEFT")
            if entry is None:
                entry = self._groups[group] = _Group(f"{self._boot}.{next(self._epochs)}")
            connections = entry.roster.add(user)
            self._where[user.connection_id] = group
            self._directory.put(group, entry.roster.number_of_users, len(entry.roster.rows))
            self._announce("USER_JOINED", group, user, connections)
        assert entry is not None
        return Position(entry.epoch, entry.seq)

    async def leave(self, user: UserRow) -> None:
        """Leave the group, if there is one."""
        self._leave(user, "USER_LEFT")

    async def publish(self, message: Message) -> int:
        """Number the message and hand it over."""
        return self.publish_now(message)

    def publish_now(self, message: Message) -> int:
        """Do what `publish` does, without a coroutine."""
        group = self._groups.get(message.sender_rid)
        if group is None:
            return 0
        group.seq += 1
        message.seq = group.seq
        return self._deliver(message.sender_rid, message)

    async def whisper(self, user_id: str, message: Private) -> int:
        """Hand the message over."""
        return sum(receiver.deliver_to_user(user_id, message) for receiver in self._receivers)

    async def signal(self, connection_id: str, event: Signaled) -> int:
        """Ask the nodes."""
        return sum(receiver.deliver_to_connection(connection_id, event) for receiver in self._receivers)

    async def connected(self, user_id: str) -> bool:
        """Look the user up."""
        return user_id in self._connections

    async def disconnect_user(self, user_id: str) -> int:
        """Tell the nodes."""
        return sum(receiver.disconnect(user_id, None) for receiver in self._receivers)

    async def disconnect_connection(self, connection_id: str) -> int:
        """Tell the nodes."""
        return sum(receiver.disconnect(None, connection_id) for receiver in self._receivers)

    async def groups(self, query: Query, visible: Callable[[str], bool] | None = None) -> Page:
        """Ask the directory."""
        return self._directory.page(query, visible)

    async def users(self, group: str, query: UserQuery) -> Page:
        """Ask the group."""
        entry = self._groups.get(group)
        return Page([], "end", True) if entry is None else entry.roster.page(query)

    async def count(self) -> tuple[int, int]:
        """Return the sizes."""
        return len(self._groups), len(self._where)

    def _leave(self, user: UserRow, code: NoticeCode) -> None:
        group = self._where.get(user.connection_id)
        if group is None:
            return
        self._where[user.connection_id] = None
        roster = self._groups[group].roster
        connections = roster.remove(user)
        if roster.rows:
            self._directory.put(group, roster.number_of_users, len(roster.rows))
            self._announce(code, group, user, connections)
        else:
            del self._groups[group]
            self._directory.remove(group)

    def _deliver_to_all(self, group: str, event: Event) -> int:
        return sum(receiver.deliver(group, event) for receiver in self._receivers)

    def _announce(self, code: NoticeCode, group: str, user: UserRow, connections: int) -> None:
        event = notice(code, group, user, connections)
        self.notices += 1
        self._deliver(group, event)
