"""The fan-out against the simplest model: every connection has a queue, and every frame is put into it at once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hubbub.fanout import SHARED_FROM, SLICE, WRITE, Fanout
from hubbub.lanes import Connection
from hubbub.messages import Event, Message, Notice, Posted, Private

GROUPS = st.sampled_from(["a", "b", "c"])


class PlainWire:
    """Writes an event as ``<name>:<seq>;`` so that the model can predict the bytes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.encoded = 0

    def event(self, event: Event) -> bytes:
        if isinstance(event, Posted):
            return f"{self.name}:own {event.seq};".encode()
        if isinstance(event, Notice):
            return f"{self.name}:{event.message};".encode()
        assert isinstance(event, Message | Private)
        self.encoded += 1
        return f"{self.name}:{event.seq};".encode()


def message(number: int, group: str = "a", sender_cid: str = "c") -> Message:
    return Message(msgspec.Raw(b"1"), "s", sender_cid, group, number)


def notice_of(number: int, group: str, connection_id: str) -> Notice:
    return Notice(f"notice {number}", "s", connection_id, group, "USER_JOINED", 1)


class Client:
    """A connection of the fan-out, what was written to it, and what the model says it should be."""

    def __init__(self, number: int, wire: PlainWire) -> None:
        self.writes: list[bytes] = []
        self.connection = Connection(f"c{number}", wire, self.writes.append)
        self.connection.user_id = f"u{number % 3}"
        self.group: str | None = None
        self.notices = self.visible = True
        self.expected = b""

    def expect(self, what: object) -> None:
        wire = self.connection.wire
        assert isinstance(wire, PlainWire)
        self.expected += f"{wire.name}:{what};".encode()


class HubMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scheduled: list[Callable[[], None]] = []
        self.fanout = Fanout(self.scheduled.append)
        self.wires = [PlainWire("x"), PlainWire("y")]
        self.clients: list[Client] = []
        self.number = 0

    @initialize(
        shared_from=st.integers(1, 4), slice_cost=st.sampled_from([1, 2 * WRITE, SLICE]), members=st.integers(0, 6)
    )
    def start(self, shared_from: int, slice_cost: int, members: int) -> None:
        self.fanout = Fanout(self.scheduled.append, shared_from, slice_cost)
        for _ in range(members):
            self.connect(0)
            client = self.clients[-1]
            self.fanout.join(client.connection, "a")
            client.group = "a"
        self.fanout.flush()

    @rule(wire=st.integers(0, 1))
    def connect(self, wire: int) -> None:
        self.number += 1
        client = Client(self.number, self.wires[wire])
        self.clients.append(client)
        self.fanout.add(client.connection)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), group=GROUPS, notices=st.booleans(), visible=st.booleans())
    def join(self, data: st.DataObject, group: str, *, notices: bool, visible: bool) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.fanout.join(client.connection, group, notices=notices, visible=visible)
        client.group, client.notices, client.visible = group, notices, visible

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.fanout.leave(client.connection)
        client.group = None

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)
        self.fanout.remove(client.connection)
        before = len(client.writes)
        self.flush()
        assert len(client.writes) == before, "a removed connection was written to"

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def rewire(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        written = b"".join(client.writes)
        client.writes = [written]
        self.fanout.rewire(client.connection, client.writes.append)

    @rule(group=GROUPS, times=st.integers(1, 3))
    def publish(self, group: str, times: int) -> None:
        members = [client for client in self.clients if client.group == group]
        lanes = {(client.connection.wire, client.notices, client.visible) for client in members}
        visible = sum(client.visible for client in members)
        for _ in range(times):
            self.number += 1
            encoded = sum(wire.encoded for wire in self.wires)
            assert self.fanout.publish(group, message(self.number, group)) == visible
            assert sum(wire.encoded for wire in self.wires) - encoded == len(lanes), "encoded once per audience"
            for client in members:
                client.expect(self.number)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), group=GROUPS)
    def publish_without_echo(self, data: st.DataObject, group: str) -> None:
        sender = data.draw(st.sampled_from(self.clients))
        self.number += 1
        others = [client for client in self.clients if client.group == group and client is not sender]
        posted = message(self.number, group, sender.connection.connection_id)
        assert self.fanout.publish_to_others(group, posted) == sum(client.visible for client in others)
        for client in others:
            client.expect(self.number)
        if sender.group == group:
            sender.expect(f"own {self.number}")

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), group=GROUPS)
    def announce(self, data: st.DataObject, group: str) -> None:
        subject = data.draw(st.sampled_from(self.clients))
        self.number += 1
        self.fanout.publish_to_others(group, notice_of(self.number, group, subject.connection.connection_id))
        for client in self.clients:
            if client.group == group and client.notices and client is not subject:
                client.expect(f"notice {self.number}")

    @rule(user=st.integers(0, 2))
    def post_to_user(self, user: int) -> None:
        self.number += 1
        own = [client for client in self.clients if client.connection.user_id == f"u{user}"]
        assert self.fanout.post_to_user(f"u{user}", message(self.number)) == len(own)
        for client in own:
            client.expect(self.number)

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def signal(self, data: st.DataObject) -> None:
        self.number += 1
        client = data.draw(st.sampled_from(self.clients))
        assert self.fanout.signal(client.connection.connection_id, message(self.number)) == 1
        client.expect(self.number)

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def reply(self, data: st.DataObject) -> None:
        self.number += 1
        client = data.draw(st.sampled_from(self.clients))
        self.fanout.send(client.connection, b"r%d;" % self.number)
        client.expected += b"r%d;" % self.number

    @rule()
    def tick(self) -> None:
        before = {client: len(client.writes) for client in self.clients}
        assert len(self.scheduled) <= 1, "scheduled more than once per tick"
        if self.scheduled:
            self.scheduled.pop()()
        for client in self.clients:
            assert client.expected.startswith(b"".join(client.writes))
            assert len(client.writes) - before[client] <= 1, "more than one write in a tick"

    @rule()
    def flush(self) -> None:
        while self.scheduled:
            self.tick()
        for client in self.clients:
            assert b"".join(client.writes) == client.expected

    @invariant()
    def membership(self) -> None:
        groups: dict[str, set[Connection]] = {}
        for client in self.clients:
            assert client.connection.group == client.group
            if client.group is not None:
                groups.setdefault(client.group, set()).add(client.connection)
        found = {
            name: {m for lane in lanes.values() for m in lane.members} for name, lanes in self.fanout.groups.items()
        }
        assert found == groups
        assert set(self.fanout.connections.values()) == {client.connection for client in self.clients}
        assert set(self.fanout.users) == {client.connection.user_id for client in self.clients}

    def teardown(self) -> None:
        self.flush()


HubMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestHub = HubMachine.TestCase


def test_a_private_message_without_echo_is_for_the_other_connections_of_its_user() -> None:
    fanout, wire = Fanout(lambda flush: None), PlainWire("x")
    clients = [Client(number, wire) for number in (0, 3)]  # both of the user u0
    for client in clients:
        fanout.add(client.connection)
    kept = Private(msgspec.Raw(b"1"), "u0", "c0", seq=7)
    unkept = Private(msgspec.Raw(b"1"), "u0", "c0", seq=None)
    assert fanout.post_to_user("u0", kept, "c0") == 1
    assert fanout.post_to_user("u0", unkept, "c0") == 1
    assert fanout.post_to_user("u0", unkept, "elsewhere") == 2
    fanout.flush()
    assert [client.writes for client in clients] == [[b"x:own 7;x:None;"], [b"x:7;x:None;x:None;"]]


def test_members_of_a_quiet_tick_share_one_object() -> None:
    scheduled: list[Callable[[], None]] = []
    fanout = Fanout(scheduled.append)
    wire = PlainWire("x")
    clients = [Client(number, wire) for number in range(SHARED_FROM)]
    for client in clients:
        fanout.add(client.connection)
        fanout.join(client.connection, "a")
    fanout.flush()
    fanout.publish("a", message(1))
    fanout.publish("a", message(2))
    fanout.flush()
    written = [client.writes for client in clients]
    assert written == [[b"x:1;x:2;"]] * SHARED_FROM
    assert len({id(writes[0]) for writes in written}) == 1


def test_crowded_from_the_message_to_the_flush() -> None:
    fanout = Fanout(lambda flush: None)
    wire = PlainWire("x")
    clients = [Client(number, wire) for number in range(SHARED_FROM + 1)]
    few, *many = clients
    fanout.join(few.connection, "few")
    for client in many:
        fanout.join(client.connection, "many")
    fanout.flush()
    fanout.publish("few", message(1))
    assert not fanout.crowded
    fanout.publish("many", message(2))
    assert fanout.crowded
    fanout.leave(many[0].connection)
    assert fanout.crowded
    fanout.flush()
    assert not fanout.crowded


def test_a_flush_ends_when_it_has_cost_enough() -> None:
    scheduled: list[Callable[[], None]] = []
    fanout = Fanout(scheduled.append, slice_cost=5 * WRITE)
    wire = PlainWire("x")
    clients = [Client(number, wire) for number in range(100)]
    for client in clients:
        fanout.add(client.connection)
        fanout.join(client.connection, "a")
    fanout.flush()
    fanout.publish("a", message(1))
    ticks = 0
    while scheduled:
        before = sum(len(client.writes) for client in clients)
        scheduled.pop()()
        assert sum(len(client.writes) for client in clients) - before in {0, 5}
        ticks += 1
        if ticks == 3:
            fanout.publish("a", message(2))
    assert [client.writes for client in clients] == [[b"x:1;", b"x:2;"]] * 100
    assert ticks in {40, 41}


def test_a_tick_with_nothing_to_say_is_not_scheduled() -> None:
    scheduled: list[Callable[[], None]] = []
    fanout = Fanout(scheduled.append)
    assert fanout.publish("nobody is here", message(1)) == 0
    assert fanout.post_to_user("nobody", message(1)) == 0
    assert fanout.signal("no connection", message(1)) == 0
    assert scheduled == []


class Scene:
    """A fan-out whose lanes share from the first member on, or never; clients by name, frames by number."""

    def __init__(self, shared: bool) -> None:
        self.fanout = Fanout(lambda flush: None, 1 if shared else 100)
        self.wire = PlainWire("x")
        self.clients: dict[str, Client] = {}

    def add(self, *names: str) -> None:
        for name in names:
            self.clients[name] = Client(len(self.clients), self.wire)
            self.fanout.add(self.clients[name].connection)

    def join(self, *names: str) -> None:
        for name in names:
            self.fanout.join(self.clients[name].connection, "a")

    def leave(self, name: str) -> None:
        self.fanout.leave(self.clients[name].connection)

    def publish(self, number: int) -> None:
        self.fanout.publish("a", message(number))

    def reply(self, name: str, data: bytes) -> None:
        self.fanout.send(self.clients[name].connection, data)

    def flush(self) -> dict[str, list[bytes]]:
        self.fanout.flush()
        heard = {name: list(client.writes) for name, client in self.clients.items()}
        for client in self.clients.values():
            client.writes.clear()
        return heard


both = pytest.mark.parametrize("shared", [True, False], ids=["shared", "small"])


@both
def test_a_reply_comes_between_what_was_before_and_what_is_after(shared: bool) -> None:
    scene = Scene(shared)
    scene.add("ada", "bob")
    scene.join("ada", "bob")
    scene.publish(1)
    scene.reply("ada", b"r1;")
    scene.publish(2)
    scene.reply("ada", b"r2;")
    scene.publish(3)
    assert scene.flush() == {"ada": [b"x:1;r1;x:2;r2;x:3;"], "bob": [b"x:1;x:2;x:3;"]}
    scene.publish(4)
    assert scene.flush() == {"ada": [b"x:4;"], "bob": [b"x:4;"]}


@both
def test_a_reply_before_the_first_message_stays_before_it(shared: bool) -> None:
    scene = Scene(shared)
    scene.add("ada", "bob")
    scene.join("ada", "bob")
    scene.reply("ada", b"r;")
    scene.publish(1)
    assert scene.flush() == {"ada": [b"r;x:1;"], "bob": [b"x:1;"]}


@both
def test_who_joins_in_mid_tick_hears_only_what_comes_after(shared: bool) -> None:
    scene = Scene(shared)
    scene.add("ada", "bob")
    scene.join("ada")
    scene.publish(1)
    scene.reply("bob", b"r;")
    scene.join("bob")
    scene.publish(2)
    assert scene.flush() == {"ada": [b"x:1;x:2;"], "bob": [b"r;x:2;"]}


@both
def test_who_leaves_in_mid_tick_hears_what_came_before(shared: bool) -> None:
    scene = Scene(shared)
    scene.add("ada", "bob")
    scene.join("ada", "bob")
    scene.publish(1)
    scene.leave("bob")
    scene.publish(2)
    scene.reply("bob", b"r;")
    assert scene.flush() == {"ada": [b"x:1;x:2;"], "bob": [b"x:1;r;"]}


def test_a_lane_that_grows_in_mid_tick_keeps_the_order() -> None:
    scene = Scene(shared=False)
    scene.fanout = Fanout(lambda flush: None, 3)
    scene.add("ada", "bob", "eve")
    scene.join("ada", "bob")
    scene.publish(1)
    scene.join("eve")
    scene.publish(2)
    assert scene.flush() == {"ada": [b"x:1;x:2;"], "bob": [b"x:1;x:2;"], "eve": [b"x:2;"]}
    scene.leave("eve")
    scene.leave("bob")
    scene.publish(3)
    assert scene.flush() == {"ada": [b"x:3;"], "bob": [], "eve": []}


def late(*names: str) -> Scene:
    """Return members of whom each tick serves one; the first has been served, the others are late."""
    scene = Scene(shared=True)
    scene.fanout = Fanout(lambda flush: None, 1, slice_cost=1)
    scene.add(*names)
    scene.join(*names)
    scene.flush()
    scene.publish(1)
    heard = scene.flush()
    assert [len(writes) for writes in heard.values()] == [1] + [0] * (len(names) - 1)
    return scene


def everything(scene: Scene) -> dict[str, list[bytes]]:
    """Return what the clients hear until nothing is left."""
    heard = [scene.flush() for _ in range(3 * len(scene.clients))]
    return {name: [data for tick in heard for data in tick[name]] for name in scene.clients}


def test_a_reply_does_not_overtake_what_a_late_member_has_still_to_hear() -> None:
    scene = late("ada", "bob", "eve")
    scene.reply("eve", b"r;")
    scene.publish(2)
    assert everything(scene) == {"ada": [b"x:2;"], "bob": [b"x:1;", b"x:2;"], "eve": [b"x:1;r;", b"x:2;"]}


def test_a_late_member_that_leaves_hears_what_came_before() -> None:
    scene = late("ada", "bob", "eve")
    scene.leave("bob")
    scene.publish(2)
    scene.join("bob")
    scene.publish(3)
    heard = everything(scene)
    assert {name: b"".join(writes) for name, writes in heard.items()} == {
        "ada": b"x:2;x:3;",
        "bob": b"x:1;x:3;",
        "eve": b"x:1;x:2;x:3;",
    }


def test_a_late_member_that_is_removed_hears_no_more() -> None:
    scene = late("ada", "bob", "eve")
    scene.fanout.remove(scene.clients["bob"].connection)
    assert everything(scene) == {"ada": [], "bob": [], "eve": [b"x:1;"]}


def test_a_late_member_is_written_to_as_it_was_rewired() -> None:
    scene = late("ada", "bob", "eve")
    instead: list[bytes] = []
    scene.fanout.rewire(scene.clients["bob"].connection, instead.append)
    scene.publish(2)
    assert everything(scene)["bob"] == []
    assert instead == [b"x:1;", b"x:2;"]
