"""How many local connections receive each group and inbox, and how far this node has received it. Pure.

While the store is away, or a new connection to it is being set up, no message is lost silently: the node holds back
what arrives meanwhile, asks for what came before, and its connections receive both in order, or a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hubbub.groups.history import Replay
from hubbub.messages import Message, Position, Private


class Since(NamedTuple):
    """A position as the scripts take it: see ``replay.lua``."""

    epoch: str
    seq: int


NOWHERE = Since("", 0)
"""No position: nothing is asked for."""


def script_position(position: Position | None) -> Since:
    """Return `position` as the scripts take it. A number that no message can have becomes one that leads to a gap."""
    if position is None:
        return NOWHERE
    return Since("=" + position.epoch, position.seq if 0 <= position.seq < 2**53 else -1)


def parse_replay(found: list[Any], decode: Callable[[bytes], Message | Private]) -> Replay:
    """Return the reply of a script's ``replay`` as a `Replay`; `decode` reads one entry."""
    epoch, last, gap, entries = found
    events = []
    for seq, entry in enumerate(entries, last - len(entries) + 1):
        event = decode(entry)
        event.seq = seq
        events.append(event)
    return Replay(Position(epoch.decode(), last), tuple(events), bool(gap))


class Offsets:
    """The groups, or the inboxes, of one shard that connections of this node receive.

    For each it holds how many connections that are, those about to join included, and the last position received.

    Attributes:
        received: The last position received of each; it has no entry before the first connection has joined.
    """

    def __init__(self) -> None:
        self.received: dict[str, Position] = {}
        self._listeners: dict[str, int] = {}

    def names(self) -> list[str]:
        """Return the names that at least one connection receives or is about to receive."""
        return list(self._listeners)

    def listeners(self, name: str) -> int:
        """Return how many connections receive `name` or are about to receive it."""
        return self._listeners.get(name, 0)

    def add(self, name: str) -> bool:
        """Count one more connection that is about to receive `name`; return whether it is the first."""
        count = self._listeners.get(name, 0)
        self._listeners[name] = count + 1
        return not count

    def start_at(self, name: str, position: Position) -> None:
        """Note that a connection receives `name` from `position` on; all others have received everything up to it."""
        self.received[name] = position

    def remove(self, name: str) -> bool:
        """Count one connection less; return whether it was the last, so that nothing of `name` is needed any more."""
        count = self._listeners[name] - 1
        if count:
            self._listeners[name] = count
            return False
        del self._listeners[name]
        self.received.pop(name, None)
        return True

    def receive(self, name: str, seq: int) -> bool:
        """Note that message `seq` has arrived; return whether to deliver it: not if it is a duplicate or not wanted."""
        last = self.received.get(name)
        if last is None or seq <= last.seq:
            return False
        self.received[name] = Position(last.epoch, seq)
        return True
