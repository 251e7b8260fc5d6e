"""A receiver that records what its backend delivers."""

from __future__ import annotations

from hubbub.backends.base import Backend
from hubbub.messages import Event, Gap, Message, Notice, Private, Signaled, UserRow

ADA, ADA2, BOB, EVE = UserRow("ada", "1"), UserRow("ada", "2"), UserRow("bob", "3"), UserRow("eve", "4")


class Listener:
    """A receiver that records everything. It counts as one member of each group and one connection of each user."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.group_events: list[tuple[str, Event]] = []
        self.privates: list[tuple[str, Private | Gap]] = []
        self.signals: list[tuple[str, Signaled]] = []
        self.lost: list[tuple[UserRow, str]] = []
        self.without_echo: list[Message] = []  # announced to all but their senders
        self.left_out: list[str] = []  # connections that a private message was not for
        self.disconnected: list[tuple[str | None, str | None]] = []

    def deliver(self, group: str, event: Event) -> int:
        self.group_events.append((group, event))
        return 1

    def announce(self, group: str, event: Notice | Message) -> int:
        if isinstance(event, Message):
            self.without_echo.append(event)
            return 0
        return self.deliver(group, event)

    def deliver_to_user(self, user_id: str, event: Private | Gap, but: str | None = None) -> int:
        self.privates.append((user_id, event))
        if but is not None:
            self.left_out.append(but)
        return 0 if but is not None else 1

    def deliver_to_connection(self, connection_id: str, event: Signaled) -> int:
        self.signals.append((connection_id, event))
        return 1

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> None:
        self.lost += lost

    def close_connections(self, user_id: str | None, connection_id: str | None) -> int:
        self.disconnected.append((user_id, connection_id))
        return 1

    async def settled(self) -> None:
        """Wait until everything sent before has arrived: a backend delivers to a node in one order."""
        await self.backend.count()

    async def notices(self) -> list[tuple[str, str, str, int]]:
        """Return (group, code, connection, user_connections) of all recorded notices, and drop them."""
        await self.settled()
        notices = [(g, e) for g, e in self.group_events if isinstance(e, Notice)]
        self.group_events.clear()
        return [(group, e.code, e.sender_cid, e.user_connections) for group, e in notices]
