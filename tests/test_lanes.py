"""What the fan-out knows of a connection, before any group and within one."""

from __future__ import annotations

import msgspec

from hubbub.fanout import Fanout
from hubbub.lanes import Connection, EventEncoder, Lane
from hubbub.messages import Event, Message, UserRow, notice


class NoWire:
    """A wire on which nothing is sent here."""

    def event(self, event: Event) -> bytes:
        raise AssertionError(event)


def connection(number: int, wire: EventEncoder, written: list[bytes] | None = None) -> Connection:
    return Connection(f"c{number}", wire, ([] if written is None else written).append)


def test_a_new_connection_has_no_user_no_group_and_nothing_to_write() -> None:
    new = connection(0, NoWire())
    assert (new.connection_id, new.user_id, new.group, new.lane, new.outbox) == ("c0", "", None, None, [])


def test_connections_share_no_outbox() -> None:
    one, other = connection(0, NoWire()), connection(1, NoWire())
    one.outbox.append(b"x")
    assert other.outbox == []


def test_the_group_of_a_connection_is_that_of_its_lane() -> None:
    one = connection(0, NoWire())
    one.lane = Lane("g", one.wire)
    assert one.group == "g"
    one.lane = None
    assert one.group is None


def test_a_new_lane_has_no_members_and_nothing_to_write() -> None:
    wire = NoWire()
    lane = Lane("g", wire)
    assert (lane.group, lane.wire, lane.members, lane.shared) == ("g", wire, {}, False)
    assert (lane.pending, lane.apart, lane.rest, lane.data) == ([], {}, {}, b"")


def test_members_of_a_group_share_a_lane_if_they_share_a_wire() -> None:
    fanout, wire, written = Fanout(lambda flush: None), NoWire(), list[bytes]()
    one, same, other = connection(0, wire, written), connection(1, wire), connection(2, NoWire())
    for each in (one, same, other):
        fanout.join(each, "g")
    assert one.lane is same.lane is not other.lane
    assert one.lane is not None
    assert list(one.lane.members) == [one, same]
    assert one.lane.members[one] == one.write


class EchoWire:
    """A wire that writes the name of each event."""

    def event(self, event: Event) -> bytes:
        return type(event).__name__.encode()


JOINED = notice("USER_JOINED", "g", UserRow("ada", "1"), 1)
HELLO = Message(msgspec.Raw(b"1"), "ada", "1", "g", 1)


def test_an_audience_without_notices_gets_everything_else() -> None:
    with_notices, without = Lane("g", EchoWire()), Lane("g", EchoWire(), notices=False)
    assert with_notices.wire.event(JOINED) == b"Notice"
    assert without.wire.event(JOINED) == b""
    assert without.wire.event(HELLO) == b"Message"


def test_a_lane_is_for_one_audience_of_one_group() -> None:
    lane = Lane("g", NoWire(), notices=False, visible=False)
    assert lane.is_for("g", notices=False, visible=False)
    assert not lane.is_for("g", notices=True, visible=False)
    assert not lane.is_for("g", notices=False, visible=True)
    assert not lane.is_for("h", notices=False, visible=False)
