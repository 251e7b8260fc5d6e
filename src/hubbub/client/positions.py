"""Which messages the program has received: drops duplicates and reports gaps. Pure.

`Positions` filters events between the connection and the program. It must be given replies and events in the order in
which they arrived.
"""

from __future__ import annotations

from collections.abc import Callable

from hubbub.client.events import Event, Gap, Message, Private
from hubbub.client.results import Joined
from hubbub.messages import Gap as ServerGap
from hubbub.messages import Position, Posted, Welcome


class Positions:
    """The positions of the last messages received.

    Args:
        emit: Called with every event that the program has not received yet.

    Attributes:
        group: The joined group.
        position: The position of the last message received in it; None before it is known.
        inbox: The position of the last private message.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self.group: str | None = None
        self.position: Position | None = None
        self.inbox: Position | None = None

    def on_welcome(self, welcome: Welcome) -> None:
        """Process the reply to ``connect``. A reply that only renewed the token has no inbox."""
        if isinstance(welcome.inbox, Position):
            start = _rewind(welcome.inbox, welcome.replayed or 0)
            if welcome.gap:
                self._emit(Gap(None, self.inbox, start))
            self.inbox = start

    def on_join(self, group: str | None, since: Position | None, joined: Joined) -> None:
        """Process the reply to a command that joined `group` with `since`, or left."""
        self.group = group
        self.position = joined.position and _rewind(joined.position, joined.replayed)
        if joined.gap and self.position:
            self._emit(Gap(group, since, self.position))

    def forget_group(self) -> None:
        """Forget the group: the server does not let us rejoin it."""
        self.group = self.position = None

    def on_event(self, event: Event | ServerGap | Posted) -> None:
        """Emit an event unless it is a duplicate, and before it a `Gap` if messages are missing."""
        match event:
            case Message() if event.seq is not None and event.sender_rid == self.group and self.position:
                if event.seq <= self.position.seq:
                    return None
                self.position = self._advance(self.group, self.position, event.seq)
            case Private() if event.seq and self.inbox:
                if event.seq <= self.inbox.seq:
                    return None
                self.inbox = self._advance(None, self.inbox, event.seq)
            case ServerGap():
                return self._on_server_gap(event)
            case Posted():
                return self._on_posted(event)
        return self._emit(event)

    def _on_server_gap(self, gap: ServerGap) -> None:
        """The server has lost messages that were meant for us."""
        if gap.sender_rid is None:
            self._emit(Gap(None, self.inbox, gap.position))
            self.inbox = gap.position
        elif gap.sender_rid == self.group:
            self._emit(Gap(self.group, self.position, gap.position))
            self.position = gap.position

    def _on_posted(self, posted: Posted) -> None:
        """We have posted a message that is not sent to us; its number is not missing."""
        if posted.sender_rid is None:
            if self.inbox and posted.seq > self.inbox.seq:
                self.inbox = self._advance(None, self.inbox, posted.seq)
        elif posted.sender_rid == self.group and self.position and posted.seq > self.position.seq:
            self.position = self._advance(self.group, self.position, posted.seq)

    def _advance(self, group: str | None, last: Position, seq: int) -> Position:
        if seq > last.seq + 1:
            self._emit(Gap(group, last, Position(last.epoch, seq - 1)))
        return Position(last.epoch, seq)


def _rewind(position: Position, count: int) -> Position:
    """Return the position `count` messages before `position`."""
    return Position(position.epoch, position.seq - count)
