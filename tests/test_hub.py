"""The hub against a model that is as simple as can be: every connection has a queue, every frame is put in at once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hubbub.hub import SHARED_FROM, Connection, Hub
from hubbub.messages import Event, Message

GROUPS = st.sampled_from(["a", "b", "c"])


class PlainWire:
    """Writes an event as ``<name>:<seq>;`` so that the model can predict the bytes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.encoded = 0

    def event(self, event: Event) -> bytes:
        assert isinstance(event, Message)
        self.encoded += 1
        return f"{self.name}:{event.seq};".encode()


def message(number: int, group: str = "a") -> Message:
    return Message(msgspec.Raw(b"1"), "s", "c", group, number)


class Client:
    """A connection of the hub, what was written to it, and what the model says it should be."""

    def __init__(self, number: int, wire: PlainWire) -> None:
        self.writes: list[bytes] = []
        self.connection = Connection(f"c{number}", wire, self.writes.append)
        self.connection.user_id = f"u{number % 3}"
        self.group: str | None = None
        self.expected = b""


class HubMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scheduled: list[Callable[[], None]] = []
        self.hub = Hub(self.scheduled.append)
        self.wires = [PlainWire("x"), PlainWire("y")]
        self.clients: list[Client] = []
        self.number = 0

    @initialize(shared_from=st.integers(1, 4))
    def start(self, shared_from: int) -> None:
        self.hub = Hub(self.scheduled.append, shared_from)

    @rule(wire=st.integers(0, 1))
    def connect(self, wire: int) -> None:
        self.number += 1
        client = Client(self.number, self.wires[wire])
        self.clients.append(client)
        self.hub.add(client.connection)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), group=GROUPS)
    def join(self, data: st.DataObject, group: str) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.hub.join(client.connection, group)
        client.group = group

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.hub.leave(client.connection)
        client.group = None

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)
        self.hub.remove(client.connection)
        before = len(client.writes)
        self.flush()
        assert len(client.writes) == before, "a removed connection was written to"

    @rule(group=GROUPS, times=st.integers(1, 3))
    def publish(self, group: str, times: int) -> None:
        members = [client for client in self.clients if client.group == group]
        lanes = {client.connection.wire for client in members}
        for _ in range(times):
            self.number += 1
            encoded = sum(wire.encoded for wire in self.wires)
            assert self.hub.publish(group, message(self.number, group)) == len(members)
            assert sum(wire.encoded for wire in self.wires) - encoded == len(lanes), "encoded once per wire format"
            for client in members:
                client.expected += f"{client.connection.wire.name}:{self.number};".encode()

    @rule(user=st.integers(0, 2))
    def whisper(self, user: int) -> None:
        self.number += 1
        own = [client for client in self.clients if client.connection.user_id == f"u{user}"]
        assert self.hub.whisper(f"u{user}", message(self.number)) == len(own)
        for client in own:
            client.expected += f"{client.connection.wire.name}:{self.number};".encode()

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def reply(self, data: st.DataObject) -> None:
        self.number += 1
        client = data.draw(st.sampled_from(self.clients))
        self.hub.send(client.connection, b"r%d;" % self.number)
        client.expected += b"r%d;" % self.number

    @rule()
    def flush(self) -> None:
        before = {client: len(client.writes) for client in self.clients}
        assert len(self.scheduled) <= 1, "scheduled more than once per tick"
        while self.scheduled:
            self.scheduled.pop()()
        for client in self.clients:
            assert b"".join(client.writes) == client.expected
            assert len(client.writes) - before[client] <= 1, "more than one write in a tick"

    @invariant()
    def membership(self) -> None:
        groups: dict[str, set[Connection]] = {}
        for client in self.clients:
            assert client.connection.group == client.group
            if client.group is not None:
                groups.setdefault(client.group, set()).add(client.connection)
        found = {name: {m for lane in lanes.values() for m in lane.members} for name, lanes in self.hub.groups.items()}
        assert found == groups
        assert set(self.hub.connections.values()) == {client.connection for client in self.clients}
        assert {user for user in self.hub.users} == {client.connection.user_id for client in self.clients}

    def teardown(self) -> None:
        self.flush()


HubMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestHub = HubMachine.TestCase


def test_members_of_a_quiet_tick_share_one_object() -> None:
    scheduled: list[Callable[[], None]] = []
    hub = Hub(scheduled.append)
    wire = PlainWire("x")
    clients = [Client(number, wire) for number in range(SHARED_FROM)]
    for client in clients:
        hub.add(client.connection)
        hub.join(client.connection, "a")
    hub.flush()
    hub.publish("a", message(1))
    hub.publish("a", message(2))
    hub.flush()
    written = [client.writes for client in clients]
    assert written == [[b"x:1;x:2;"]] * SHARED_FROM
    assert len({id(writes[0]) for writes in written}) == 1


def test_a_tick_with_nothing_to_say_is_not_scheduled() -> None:
    scheduled: list[Callable[[], None]] = []
    hub = Hub(scheduled.append)
    assert hub.publish("nobody is here", message(1)) == 0
    assert hub.whisper("nobody", message(1)) == 0
    assert scheduled == []
