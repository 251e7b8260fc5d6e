"""Connections and lanes: what the fan-out writes to. `hubbub.fanout` says how it uses them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hubbub.messages import Event


class EventEncoder(Protocol):
    """Encodes events for one kind of connection: a dialect and the framing of a transport."""

    def event(self, event: Event) -> bytes:
        """Return the bytes to write for `event`."""
        ...


class Connection:
    """A client's connection to this node, as far as the fan-out knows it."""

    __slots__ = ("connection_id", "lane", "outbox", "user_id", "wire", "write")

    def __init__(self, connection_id: str, wire: EventEncoder, write: Callable[[bytes], object]) -> None:
        self.connection_id = connection_id
        self.user_id = ""  # until it is identified
        self.wire = wire
        self.write = write
        self.lane: Lane | None = None
        self.outbox: list[bytes] = []

    @property
    def group(self) -> str | None:
        """The name of the group that the connection is in."""
        return None if self.lane is None else self.lane.group


class Lane:
    """The members of one group that share a wire format, and the frames for them in this tick."""

    __slots__ = ("apart", "data", "group", "members", "pending", "rest", "shared", "wire")

    def __init__(self, group: str, wire: EventEncoder) -> None:
        self.group = group
        self.wire = wire
        self.members: dict[Connection, Callable[[bytes], object]] = {}  # with the function that writes to each
        self.shared = False
        self.pending: list[bytes] = []
        self.apart: dict[Connection, int] = {}
        self.rest: dict[Connection, Callable[[bytes], object]] = {}  # members that `data` must still be written to
        self.data = b""
