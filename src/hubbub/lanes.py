"""Connections and lanes: what the fan-out writes to. `hubbub.fanout` says how it uses them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from hubbub.messages import Event, Notice


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


Audience: TypeAlias = EventEncoder | tuple[EventEncoder, bool, bool]
"""What the connections of a lane have in common: the wire, whether they are told who joins and leaves, and whether they
are members or only receive what the group is sent. For usual members it is the wire alone: a tuple costs time."""


class WithoutNotices:
    """Encodes all events but notices, for which there is no frame."""

    def __init__(self, wire: EventEncoder) -> None:
        self._wire = wire

    def event(self, event: Event) -> bytes:
        """Return the bytes to write for `event`; ``b""`` for a notice."""
        return b"" if isinstance(event, Notice) else self._wire.event(event)


class Lane:
    """The connections in one group that share an audience, and the frames for them in this tick.

    Args:
        group: The name of the group.
        wire: Encodes what is written to them.
        notices: Whether they are told who joins and leaves.
        visible: Whether they are members, so that they are counted, or only receive what the group is sent.
    """

    __slots__ = (
        "apart", "audience", "data", "group", "members", "notices", "pending", "rest", "shared", "visible", "wire",
    )  # fmt: skip

    def __init__(self, group: str, wire: EventEncoder, *, notices: bool = True, visible: bool = True) -> None:
        self.group = group
        self.audience: Audience = wire if notices and visible else (wire, notices, visible)
        self.notices = notices
        self.visible = visible
        self.wire = wire if notices else WithoutNotices(wire)
        self.members: dict[Connection, Callable[[bytes], object]] = {}  # with the function that writes to each
        self.shared = False
        self.pending: list[bytes] = []
        self.apart: dict[Connection, int] = {}
        self.rest: dict[Connection, Callable[[bytes], object]] = {}  # members that `data` must still be written to
        self.data = b""

    def is_for(self, group: str, *, notices: bool, visible: bool) -> bool:
        """Whether it is the lane of `group` for such an audience."""
        return self.group == group and self.notices == notices and self.visible == visible
