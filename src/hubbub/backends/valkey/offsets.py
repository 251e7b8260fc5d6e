"""How far this node has heard its groups and users, so that it can ask the store for what it has missed. Pure.

While the store is away, or a new connection to it is being set up, nothing is missed for good: what comes meanwhile is
held back, what came before is asked for, and the connections of this node hear it in order, or are told of a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hubbub.groups.history import Replay
from hubbub.messages import Message, Position, Private


class Since(NamedTuple):
    """A position as the scripts take it; see ``replay`` in ``common.lua``."""

    epoch: str
    seq: int


NOWHERE = Since("", 0)


def since(position: Position | None) -> Since:
    """Return `position` for a script. A number that no message can have is one behind which there is a gap."""
    if position is None:
        return NOWHERE
    return Since("=" + position.epoch, position.seq if 0 <= position.seq < 2**53 else -1)


def replay_of(found: list[Any], decode: Callable[[bytes], Message | Private]) -> Replay:
    """Return what a script's ``replay`` has said; `decode` reads one entry."""
    epoch, last, gap, entries = found
    events = []
    for seq, entry in enumerate(entries, last - len(entries) + 1):
        event = decode(entry)
        event.seq = seq
        events.append(event)
    return Replay(Position(epoch.decode(), last), tuple(events), bool(gap))


class Offsets:
    """The histories of one kind, groups or inboxes, that somebody here listens to.

    Attributes:
        heard: The last position that was heard of each.
    """

    def __init__(self) -> None:
        self.heard: dict[str, Position] = {}
        self._listeners: dict[str, int] = {}

    def listen(self, name: str, position: Position) -> None:
        """Somebody listens, from `position` on: who already does has heard everything up to there."""
        self._listeners[name] = self._listeners.get(name, 0) + 1
        self.heard[name] = position

    def stop(self, name: str | None) -> None:
        """Somebody listens no more."""
        if name is None:
            return
        left = self._listeners[name] - 1
        if left:
            self._listeners[name] = left
        else:
            del self._listeners[name], self.heard[name]

    def hear(self, name: str, seq: int) -> bool:
        """Note that message `seq` has come; say whether it is to be handed on: not if it has been, or to nobody."""
        last = self.heard.get(name)
        if last is None or seq <= last.seq:
            return False
        self.heard[name] = Position(last.epoch, seq)
        return True
