"""The groups and connections of one node, and the fan-out to them: encode once, one write per connection per tick.

A pure structure: it never touches a socket or a loop. It is told how to write (each connection brings its own function)
and how to be called back at the end of the tick (`schedule`).

How order is kept
-----------------
Frames leave to each connection in the order in which the node accepted them. A message to a group is encoded once per
*lane* (the members that share a wire format). What happens then depends on how many they are:

- A small lane puts the frame into each member's outbox. The flush joins an outbox and writes it.
- A large lane is *shared*: the frame goes to the lane's ``pending`` and nowhere else. The flush joins what is pending
  and writes it, as the same object, to every member. That is right for a member as long as nothing but the group's
  messages is meant for it. As soon as it gets something of its own (a reply, a private message) it is set *apart* for
  the rest of the tick: what the lane holds so far moves to its outbox, its own frame follows, and ``apart`` remembers
  how far it has read. The flush adds what came later. Whoever joins is set apart as well: what came before is not for
  it, and its outbox may hold frames already.

A lane becomes shared when it grows, its members with something in the outbox set apart, and small again when nothing
is pending and it has shrunk to half of that, so that a group at the edge does not change back and forth.

How nobody waits for long
-------------------------
Writing to 10,000 members takes tens of milliseconds, in which nothing else would happen. So a flush of shared lanes
ends when it has cost `SLICE`; the members that it has not come to stay in the lane's ``rest`` until the next tick. What
the group hears meanwhile waits in ``pending`` until they have been served. Who gets something of its own before its
turn comes first takes over into its outbox what it was about to hear.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Protocol

from hubbub.messages import Event

SHARED_FROM = 12
"""Members from which a lane shares its frames."""

WRITE = 24_576
"""What a write costs besides the bytes in it, in bytes that could be written in the same time."""

SLICE = 3_000 * WRITE
"""What one flush may spend on shared lanes: about 15 milliseconds."""


class EventEncoder(Protocol):
    """How events become bytes for one kind of connection: a dialect and the framing of a transport."""

    def event(self, event: Event) -> bytes:
        """Return what is written for `event`."""
        ...


class Connection:
    """One client on this node, as the fan-out sees it."""

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
    """The members of one group that share a wire format, and what they have to hear in this tick."""

    __slots__ = ("apart", "data", "group", "members", "pending", "rest", "shared", "wire")

    def __init__(self, group: str, wire: EventEncoder) -> None:
        self.group = group
        self.wire = wire
        self.members: dict[Connection, Callable[[bytes], object]] = {}  # and how to write to each
        self.shared = False
        self.pending: list[bytes] = []
        self.apart: dict[Connection, int] = {}
        self.rest: dict[Connection, Callable[[bytes], object]] = {}  # who has not been written `data` yet
        self.data = b""


class Fanout:
    """Who is here, who is in which group, and what each has to hear.

    Args:
        schedule: Calls its argument once, after everything that this tick still brings.
        shared_from: Members from which a lane shares its frames.
        slice_cost: What one flush may spend on shared lanes.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        shared_from: int = SHARED_FROM,
        slice_cost: int = SLICE,
    ) -> None:
        self.connections: dict[str, Connection] = {}
        self.users: dict[str, dict[str, Connection]] = {}
        self.groups: dict[str, dict[EventEncoder, Lane]] = {}
        self._schedule = schedule
        self._shared_from = shared_from
        self._slice_cost = slice_cost
        self._scheduled = False
        self._lanes: list[Lane] = []
        self._writers: list[Connection] = []

    @property
    def crowded(self) -> bool:
        """Whether a large lane has something to hear. Until the flush that is so for good."""
        return bool(self._lanes)

    # --- who is here ---

    def add(self, connection: Connection) -> None:
        """Take in an identified connection."""
        self.connections[connection.connection_id] = connection
        self.users.setdefault(connection.user_id, {})[connection.connection_id] = connection

    def silence(self, connection: Connection) -> None:
        """Forget a connection that is being closed: only what was queued for it before, and `send`, still reach it."""
        self.leave(connection)
        if self.connections.pop(connection.connection_id, None) is not None:
            own = self.users[connection.user_id]
            del own[connection.connection_id]
            if not own:
                del self.users[connection.user_id]

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is gone. What was still meant for it is dropped. Unknown ones are ignored."""
        self.silence(connection)
        connection.outbox.clear()

    def rewire(self, connection: Connection, write: Callable[[bytes], object]) -> None:
        """Write to `connection` with `write` from now on. May be called while it is being written to."""
        connection.write = write
        lane = connection.lane
        if lane is not None:
            if connection in lane.members:
                lane.members[connection] = write
            if connection in lane.rest:
                lane.rest[connection] = write

    # --- groups ---

    def join(self, connection: Connection, group: str) -> None:
        """Make `connection` a member of `group` and of no other. It hears what is published from now on."""
        self.leave(connection)
        lanes = self.groups.setdefault(group, {})
        lane = lanes.get(connection.wire)
        if lane is None:
            lane = lanes[connection.wire] = Lane(group, connection.wire)
        lane.members[connection] = connection.write
        connection.lane = lane
        if lane.shared:
            self._set_apart(lane, connection)
        elif len(lane.members) >= self._shared_from:
            lane.shared = True
            for member in lane.members:
                if member.outbox:
                    self._set_apart(lane, member)

    def leave(self, connection: Connection) -> None:
        """End the membership, if there is one. What the group heard before still reaches the connection."""
        lane = connection.lane
        if lane is None:
            return
        if lane.shared:
            self._drain_lane_to_outbox(lane, connection)
            del lane.apart[connection]
            if len(lane.members) <= self._shared_from // 2 and not (lane.pending or lane.apart or lane.rest):
                lane.shared = False
        connection.lane = None
        del lane.members[connection]
        if not lane.members:
            lanes = self.groups[lane.group]
            del lanes[lane.wire]
            if not lanes:
                del self.groups[lane.group]

    # --- what they hear ---

    def publish(self, group: str, event: Event) -> int:
        """Hand `event` to every member of `group` here; return how many connections that is."""
        lanes = self.groups.get(group)
        if lanes is None:
            return 0
        members = 0
        for lane in lanes.values():
            data = lane.wire.event(event)
            if lane.shared:
                if not (lane.pending or lane.apart or lane.rest):
                    self._lanes.append(lane)
                lane.pending.append(data)
            else:
                for connection in lane.members:
                    outbox = connection.outbox
                    if not outbox:
                        self._writers.append(connection)
                    outbox.append(data)
            members += len(lane.members)
        if not self._scheduled:
            self._wake()
        return members

    def post_to_user(self, user_id: str, event: Event) -> int:
        """Hand `event` to every connection of the user here; return how many that is."""
        connections = self.users.get(user_id, {})
        encoded: dict[EventEncoder, bytes] = {}
        for connection in connections.values():
            data = encoded.get(connection.wire)
            if data is None:
                data = encoded[connection.wire] = connection.wire.event(event)
            self.send(connection, data)
        return len(connections)

    def signal(self, connection_id: str, event: Event) -> int:
        """Hand `event` to the one connection; return 1, or 0 if it is not here."""
        connection = self.connections.get(connection_id)
        if connection is None:
            return 0
        self.send(connection, connection.wire.event(event))
        return 1

    def send(self, connection: Connection, data: bytes) -> None:
        """Hand `data` to one connection, after everything that it was to hear before."""
        lane = connection.lane
        if lane is not None and lane.shared:
            self._drain_lane_to_outbox(lane, connection)
        elif not connection.outbox:
            self._writers.append(connection)
        connection.outbox.append(data)
        if not self._scheduled:
            self._wake()

    def flush(self) -> None:
        """Write everything that waits, one write per connection. Called at the end of the tick."""
        self._scheduled = False
        lanes, self._lanes = self._lanes, []
        late = [lane for lane in lanes if lane.rest]
        room = self._slice_cost
        for lane in lanes:
            if not lane.rest:
                room -= self._flush_lane(lane, room)
                if lane.rest:
                    late.append(lane)
        writers, self._writers = self._writers, []
        for connection in writers:
            outbox = connection.outbox
            if outbox:  # else it was removed, or stands in the list twice
                data = outbox[0] if len(outbox) == 1 else b"".join(outbox)
                outbox.clear()
                connection.write(data)
        if late:
            self._go_on(late, max(room, self._slice_cost // 2))  # so that they get on, however much else there is

    # --- inside ---

    def _flush_lane(self, lane: Lane, room: int) -> int:
        """Write what is pending and return what it has cost; if that would exceed `room`, leave it to the rest."""
        pending, apart, members = lane.pending, lane.apart, lane.members
        lane.pending, lane.apart = [], {}
        if not pending:
            return 0
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        # Those apart are few: taking them out and putting them back spares a look-up for each of the others.
        for connection in apart:
            del members[connection]
        cost = len(members) * (len(data) + WRITE)
        if cost <= room:
            for write in members.values():
                write(data)
        else:
            lane.rest, lane.data, cost = members.copy(), data, 0
        for connection, read in apart.items():
            members[connection] = connection.write
            connection.outbox.extend(pending[read:])
        return cost

    def _go_on(self, late: list[Lane], room: int) -> None:
        """Write to the rest of lanes as far as there is `room`; the next tick goes on."""
        for lane in late:
            rest, data = lane.rest, lane.data
            cost = len(data) + WRITE
            turn = list(islice(rest, max(0, -(-room // cost))))
            for connection in turn:
                rest.pop(connection)(data)
            room -= len(turn) * cost
            if not rest:
                lane.data = b""
            # Outboxes have been written, but there is more to hear when the lane's turn has come.
            self._writers.extend(lane.apart)
        self._lanes = late
        self._wake()

    def _drain_lane_to_outbox(self, lane: Lane, connection: Connection) -> None:
        """Move what the lane holds and the connection has not read to its outbox, and set it apart."""
        if lane.rest.pop(connection, None) is not None:
            connection.outbox.append(lane.data)
        connection.outbox.extend(lane.pending[lane.apart.get(connection, 0) :])
        self._set_apart(lane, connection)

    def _set_apart(self, lane: Lane, connection: Connection) -> None:
        """Let the outbox of `connection` carry what is still to come in this tick; it has read the lane so far."""
        if not (lane.pending or lane.apart or lane.rest):
            self._lanes.append(lane)
        if connection not in lane.apart:
            self._writers.append(connection)
        lane.apart[connection] = len(lane.pending)

    def _wake(self) -> None:
        self._scheduled = True
        self._schedule(self.flush)
