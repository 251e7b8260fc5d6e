"""The groups and connections of one node, and the fan-out to them: encode once, one write per connection per tick.

Pure: it never touches a socket or the event loop. Each connection brings a function that writes, and `schedule` calls
the fan-out back at the end of the tick.

How the order is kept
---------------------
Frames are written to each connection in the order in which the node accepted them. A message to a group is encoded once
per *lane* (the members that share an audience, see `hubbub.lanes`). What happens next depends on how many members the
lane has:

- A small lane appends the frame to each member's outbox. The flush joins an outbox and writes it.
- A large lane is *shared*: the frame is appended to the lane's ``pending`` list only. The flush joins the pending
  frames and writes them, as the same object, to every member. That is correct for a member as long as it receives
  nothing but the group's messages. As soon as it gets a frame of its own (a reply, a private message) it is set *apart*
  for the rest of the tick: the lane's frames so far are moved to its outbox, its own frame follows, and ``apart``
  records how many frames of the lane it has. The flush adds the later ones. A member that joins is set apart as well:
  earlier frames are not for it, and its outbox may have frames already.

A lane becomes shared when it grows to `SHARED_FROM` members; those with frames in their outbox are set apart. It
becomes small again when nothing is pending and it has shrunk to half of that, so it does not switch back and forth.

How long a flush takes
----------------------
Writing to 10,000 members takes tens of milliseconds, in which the node would do nothing else. So a flush of shared
lanes stops when it has spent `SLICE`; members that it has not reached stay in the lane's ``rest`` until the next tick.
Messages that the group gets meanwhile stay in ``pending`` until the rest has been served. If a member gets a frame of
its own before that, the lane's frames for it are moved to its outbox first.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from hubbub.lanes import Audience, Connection, EventEncoder, Lane
from hubbub.messages import Event, Message, Notice, Posted, Private

SHARED_FROM = 12
"""Number of members from which a lane shares its frames."""

WRITE = 24_576
"""The fixed cost of a write, in bytes that could be written in the same time."""

SLICE = 3_000 * WRITE
"""The cost that one flush may spend on shared lanes: about 15 milliseconds."""


class Fanout:
    """The connections and groups of this node, and the frames that are to be written to them.

    Args:
        schedule: Calls its argument once, at the end of the current tick.
        shared_from: Number of members from which a lane shares its frames.
        slice_cost: The cost that one flush may spend on shared lanes.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        shared_from: int = SHARED_FROM,
        slice_cost: int = SLICE,
    ) -> None:
        self.connections: dict[str, Connection] = {}
        self.users: dict[str, dict[str, Connection]] = {}
        self.groups: dict[str, dict[Audience, Lane]] = {}
        self._schedule = schedule
        self._shared_from = shared_from
        self._slice_cost = slice_cost
        self._scheduled = False
        self._lanes: list[Lane] = []
        self._writers: list[Connection] = []

    @property
    def crowded(self) -> bool:
        """Whether a shared lane has frames to write. Once true, it stays true until the flush."""
        return bool(self._lanes)

    # --- connections ---

    def add(self, connection: Connection) -> None:
        """Add an identified connection."""
        self.connections[connection.connection_id] = connection
        self.users.setdefault(connection.user_id, {})[connection.connection_id] = connection

    def silence(self, connection: Connection) -> None:
        """Remove a connection that is being closed: only frames that were queued before, and `send`, still reach it."""
        self.leave(connection)
        if self.connections.pop(connection.connection_id, None) is not None:
            own = self.users[connection.user_id]
            del own[connection.connection_id]
            if not own:
                del self.users[connection.user_id]

    def remove(self, connection: Connection) -> None:
        """Remove a connection that is gone, and drop the frames for it. Unknown connections are ignored."""
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

    def join(self, connection: Connection, group: str, *, notices: bool = True, visible: bool = True) -> None:
        """Deliver to `connection` what is published in `group` from now on, and nothing of any other group.

        Args:
            connection: It was added before.
            group: The name of the group.
            notices: Whether it is told who joins and leaves.
            visible: Whether it is a member, so that it is counted among those that a message was delivered to.
        """
        self.leave(connection)
        lanes = self.groups.setdefault(group, {})
        wire = connection.wire
        if notices and visible:
            lane = lanes.get(wire)
            if lane is None:
                lane = lanes[wire] = Lane(group, wire)
        else:
            lane = lanes.get((wire, notices, visible))
            if lane is None:
                lane = lanes[wire, notices, visible] = Lane(group, wire, notices=notices, visible=visible)
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
        """End the membership, if there is one. Messages published before still reach the connection."""
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
            del lanes[lane.audience]
            if not lanes:
                del self.groups[lane.group]

    # --- delivery ---

    def publish(self, group: str, event: Event) -> int:
        """Hand `event` to everybody in `group` here; return how many visible connections that is."""
        lanes = self.groups.get(group)
        if lanes is None:
            return 0
        members = 0
        for lane in lanes.values():
            data = lane.wire.event(event)
            if not data:  # this audience has no such event
                continue
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
            if lane.visible:
                members += len(lane.members)
        if not self._scheduled:
            self._wake()
        return members

    def publish_to_others(self, group: str, event: Message | Notice) -> int:
        """Do what `publish` does, except for the connection ``event.sender_cid``.

        If that has posted a message with a number, it gets a `Posted` where the message would have come.
        """
        own = self.connections.get(event.sender_cid or "")
        if own is None or own.lane is None or own.lane.group != group:
            return self.publish(group, event)
        notices, visible = own.lane.notices, own.lane.visible
        self.leave(own)
        members = self.publish(group, event)
        self.join(own, group, notices=notices, visible=visible)
        if isinstance(event, Message) and event.seq is not None:
            self.send(own, own.wire.event(Posted(group, event.seq)))
        return members

    def post_to_user(self, user_id: str, event: Event, but: str | None = None) -> int:
        """Hand `event` to every connection of the user here; return how many that is.

        The connection `but` has posted it with ``"echo": false``: it gets a `Posted` instead, and is not counted.
        """
        connections = self.users.get(user_id, {})
        encoded: dict[EventEncoder, bytes] = {}
        if but is not None and but in connections:
            own = connections[but]
            connections = {name: each for name, each in connections.items() if each is not own}
            if isinstance(event, Private) and event.seq is not None:
                self.send(own, own.wire.event(Posted(None, event.seq)))
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
        """Queue `data` for one connection, behind everything that was queued for it before."""
        lane = connection.lane
        if lane is not None and lane.shared:
            self._drain_lane_to_outbox(lane, connection)
        elif not connection.outbox:
            self._writers.append(connection)
        connection.outbox.append(data)
        if not self._scheduled:
            self._wake()

    def flush(self) -> None:
        """Write everything that is queued, one write per connection. Called at the end of the tick."""
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
            if outbox:  # it is empty if the connection was removed, or is in the list twice
                data = outbox[0] if len(outbox) == 1 else b"".join(outbox)
                outbox.clear()
                write = connection.write
                write(data)
        if late:
            self._write_rest(late, max(room, self._slice_cost // 2))  # they make progress however busy the node is

    # --- internals ---

    def _flush_lane(self, lane: Lane, room: int) -> int:
        """Write the pending frames and return the cost; if that would exceed `room`, put all members into the rest."""
        pending, apart, members = lane.pending, lane.apart, lane.members
        lane.pending, lane.apart = [], {}
        if not pending:
            return 0
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        # Few members are set apart: removing them and adding them again saves a lookup for each of the others.
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

    def _write_rest(self, late: list[Lane], room: int) -> None:
        """Write to the rest of the lanes within `room`; the next tick continues."""
        for lane in late:
            rest, data = lane.rest, lane.data
            cost = len(data) + WRITE
            turn = list(islice(rest, max(0, -(-room // cost))))
            for connection in turn:
                rest.pop(connection)(data)
            room -= len(turn) * cost
            if not rest:
                lane.data = b""
            # Outboxes have been written, but members set apart get more frames when the lane is flushed.
            self._writers.extend(lane.apart)
        self._lanes = late
        self._wake()

    def _drain_lane_to_outbox(self, lane: Lane, connection: Connection) -> None:
        """Move the lane's frames that the connection has not got yet to its outbox, and set it apart."""
        if lane.rest.pop(connection, None) is not None:
            connection.outbox.append(lane.data)
        connection.outbox.extend(lane.pending[lane.apart.get(connection, 0) :])
        self._set_apart(lane, connection)

    def _set_apart(self, lane: Lane, connection: Connection) -> None:
        """Use the outbox of `connection` for the rest of this tick; it has got all frames of the lane so far."""
        if not (lane.pending or lane.apart or lane.rest):
            self._lanes.append(lane)
        if connection not in lane.apart:
            self._writers.append(connection)
        lane.apart[connection] = len(lane.pending)

    def _wake(self) -> None:
        self._scheduled = True
        self._schedule(self.flush)
