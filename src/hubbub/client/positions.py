"""How far we have listened: positions in the group and in the inbox; doubles dropped, gaps told. Pure.

`Positions` stands between the connection and the program. It must see answers and events in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable

from hubbub.client.events import Event, Gap, Message, Private
from hubbub.client.results import Joined
from hubbub.messages import Gap as Lost
from hubbub.messages import Position, Welcome


class Positions:
    """Where we are.

    Args:
        emit: Gets every event that the program has not had yet.

    Attributes:
        group: The joined group.
        position: That of its last message that we have heard; None before it is known.
        inbox: That of the last private message.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self.group: str | None = None
        self.position: Position | None = None
        self.inbox: Position | None = None

    def welcomed(self, welcome: Welcome) -> None:
        """Take in the answer to ``connect``; one that only renewed the token says nothing of the inbox."""
        if isinstance(welcome.inbox, Position):
            begin = _before(welcome.inbox, welcome.replayed or 0)
            if welcome.gap:
                self._emit(Gap(None, self.inbox, begin))
            self.inbox = begin

    def joined(self, group: str | None, since: Position | None, joined: Joined) -> None:
        """Take in the answer to joining `group` with `since`, or to leaving."""
        self.group = group
        self.position = joined.position and _before(joined.position, joined.replayed)
        if joined.gap and self.position:
            self._emit(Gap(group, since, self.position))

    def forget_group(self) -> None:
        """We may not be there any more."""
        self.group = self.position = None

    def hear(self, event: Event | Lost) -> None:
        """Hand on an event, unless the program has had it; say before it if something is missing."""
        match event:
            case Message() if event.sender_rid == self.group and self.position:
                if event.seq <= self.position.seq:
                    return None
                self.position = self._advance(self.group, self.position, event.seq)
            case Private() if event.seq and self.inbox:
                if event.seq <= self.inbox.seq:
                    return None
                self.inbox = self._advance(None, self.inbox, event.seq)
            case Lost():
                return self._lost(event)
        return self._emit(event)

    def _lost(self, lost: Lost) -> None:
        """The server has lost messages that we were to hear."""
        if lost.sender_rid is None:
            self._emit(Gap(None, self.inbox, lost.position))
            self.inbox = lost.position
        elif lost.sender_rid == self.group:
            self._emit(Gap(self.group, self.position, lost.position))
            self.position = lost.position

    def _advance(self, group: str | None, last: Position, seq: int) -> Position:
        if seq > last.seq + 1:
            self._emit(Gap(group, last, Position(last.epoch, seq - 1)))
        return Position(last.epoch, seq)


def _before(position: Position, number: int) -> Position:
    """Return the position behind which `number` messages lead to `position`."""
    return Position(position.epoch, position.seq - number)
