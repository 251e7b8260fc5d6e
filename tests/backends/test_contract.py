"""The contract of `hubbub.backends.base.Backend`, checked for every backend. A new one is one more parameter."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from hubbub.backends.base import Backend
from hubbub.errors import CommandError
from hubbub.groups.directory import parse_query
from hubbub.groups.history import Replay
from hubbub.groups.roster import parse_user_query
from hubbub.messages import GroupRow, Groups, Message, Position, Private, Signaled, UserRow, Users
from support.listener import ADA, ADA2, BOB, EVE, Listener


def message(group: str, text: str = "hi") -> Message:
    return Message(msgspec.Raw(msgspec.json.encode(text)), "ada", "1", group, 0)


def texts(replay: Replay) -> list[object]:
    return [msgspec.json.decode(event.message) for event in replay.events]


async def listed(backend: Backend, **query: object) -> list[GroupRow]:
    return list((await backend.groups(parse_query(Groups(**query), 1000))).list)  # type: ignore[arg-type]


async def test_notices_count_the_connections_of_the_user(backend: Backend, node: Listener) -> None:
    for row in (ADA, ADA2, BOB):
        await backend.join(row, "g")
    joined = [("g", "USER_JOINED", "1", 1), ("g", "USER_JOINED", "2", 2), ("g", "USER_JOINED", "3", 1)]
    assert await node.notices() == joined
    await backend.leave(ADA)
    await backend.remove_connection(ADA2)
    assert await node.notices() == [("g", "USER_LEFT", "1", 1), ("g", "USER_DISCONNECTED", "2", 0)]


async def test_switching_leaves_the_old_group_first(backend: Backend, node: Listener) -> None:
    await backend.join(ADA, "a")
    await backend.join(BOB, "a")
    await backend.join(EVE, "b")
    await node.notices()
    await backend.join(ADA, "b")
    assert await node.notices() == [("a", "USER_LEFT", "1", 0), ("b", "USER_JOINED", "1", 1)]
    assert await listed(backend) == [GroupRow("a", 1, 1), GroupRow("b", 2, 2)]


async def test_joining_again_announces_nothing(backend: Backend, node: Listener) -> None:
    position = await backend.join(ADA, "g")
    await node.notices()
    assert await backend.join(ADA, "g") == position
    assert await node.notices() == []
    assert await listed(backend) == [GroupRow("g", 1, 1)]


async def test_leaving_without_a_group_and_leaving_twice_do_nothing(backend: Backend, node: Listener) -> None:
    await backend.join(BOB, "g")
    await node.notices()
    await backend.leave(ADA)
    await backend.remove_connection(ADA)
    await backend.remove_connection(ADA)
    assert await node.notices() == []
    assert await backend.count() == (1, 3)


async def test_the_directory_counts_distinct_users(backend: Backend, node: Listener) -> None:
    for row in (ADA, ADA2, BOB):
        await backend.join(row, "g")
    assert await listed(backend) == [GroupRow("g", 2, 3)]
    await backend.leave(ADA)
    assert await listed(backend, search_for="number_of_users", value=2) == [GroupRow("g", 2, 2)]
    await backend.leave(ADA2)
    await backend.leave(BOB)
    assert await listed(backend) == []
    assert await backend.count() == (0, 4)


async def test_only_visible_groups_are_listed(backend: Backend, node: Listener) -> None:
    await backend.join(ADA, "team-1")
    await backend.join(BOB, "other")
    page = await backend.groups(parse_query(Groups(), 1000), lambda name: name.startswith("team-"))
    assert page.list == [GroupRow("team-1", 1, 1)]


async def test_messages_are_numbered_in_their_group(backend: Backend, node: Listener) -> None:
    await backend.join(ADA, "a")
    await backend.join(BOB, "b")
    await node.notices()
    for group in ("a", "a", "b", "a"):
        assert await backend.publish(message(group)) == 1
    await node.settled()
    heard = [(group, event.seq) for group, event in node.group_events if isinstance(event, Message)]
    assert heard == [("a", 1), ("a", 2), ("b", 1), ("a", 3)]
    assert (await backend.join(EVE, "a")).position.seq == 3


@pytest.mark.parametrize("name", ["\0", "a\0\0b", "{x}", "}:c:{", "a b", "\n", "\U0010ffff" * 256, "\xe9"])
async def test_any_name_will_do(backend: Backend, node: Listener, name: str) -> None:
    user = UserRow(name, "9")
    await backend.connect(user, 10)
    await backend.join(BOB, name)
    await backend.join(user, name)
    await backend.publish(message(name))
    await backend.post_to_user(name, Private(msgspec.Raw(b"1"), name, "9"))
    await node.settled()
    assert [(g, e.sender, getattr(e, "seq", None)) for g, e in node.group_events] == [
        (name, "bob", None),
        (name, name, None),
        (name, "ada", 1),
    ]
    assert [user_id for user_id, _ in node.privates] == [name]
    assert await listed(backend) == [GroupRow(name, 2, 2)]
    assert sorted((await backend.users(name, parse_user_query(Users(), 1000))).list) == sorted([BOB, user])


async def test_json_that_clients_post_arrives_unchanged(backend: Backend, node: Listener) -> None:
    """Half of a surrogate pair, which the legacy dialect lets through, among others."""
    await backend.join(ADA, "g")
    for body in (b'"\\ud800"', b'{"a":\n[1.0, 1e2]}', b"12345678901234567890"):
        await backend.publish(Message(msgspec.Raw(body), "ada", "1", "g", 0))
        await backend.post_to_user("bob", Private(msgspec.Raw(body), "ada", "1"))
        await backend.signal("3", Signaled(msgspec.Raw(body), "ada", "1"))
        await node.settled()
        heard = [e.message for _, e in node.group_events if isinstance(e, Message)]
        heard += [node.privates[-1][1].message, node.signals[-1][1].message]
        assert [bytes(each) for each in heard[-3:]] == [body] * 3


async def test_an_empty_group_keeps_its_history_for_the_window(backend: Backend, node: Listener) -> None:
    first = (await backend.join(ADA, "g")).position
    await backend.publish(message("g"))
    await backend.leave(ADA)
    assert await listed(backend) == []
    assert await backend.count() == (0, 4)
    await backend.publish(message("g", "while nobody was there"))
    back = await backend.join(ADA, "g", first)
    assert (back.position, back.gap) == (Position(first.epoch, 2), False)
    assert texts(back) == ["hi", "while nobody was there"]


async def test_resuming_gives_every_later_message_in_order(backend: Backend, node: Listener) -> None:
    start = (await backend.join(ADA, "g")).position
    for number in range(5):
        await backend.publish(message("g", str(number)))
    for seq in range(6):
        back = await backend.join(BOB, "g", Position(start.epoch, seq))
        assert (texts(back), back.gap, back.position.seq) == ([str(each) for each in range(seq, 5)], False, 5)
        assert [event.seq for event in back.events] == list(range(seq + 1, 6))
        await backend.leave(BOB)


async def test_a_position_that_never_was_is_a_gap(backend: Backend, node: Listener) -> None:
    start = (await backend.join(ADA, "g")).position
    await backend.publish(message("g"))
    for since in (Position(start.epoch, 2), Position(start.epoch, -1), Position("another", 1), Position("", 0)):
        back = await backend.join(BOB, "g", since)
        assert (back.gap, back.events, back.position) == (True, (), Position(start.epoch, 1))
        await backend.leave(BOB)


async def test_a_first_join_gets_the_last_messages_on_request(backend: Backend, node: Listener) -> None:
    start = (await backend.join(ADA, "g")).position
    for text in "abc":
        await backend.publish(message("g", text))
    for number, expected in ((0, ""), (2, "bc"), (9, "abc")):
        assert texts(await backend.join(BOB, "g", None, number)) == list(expected)
        await backend.leave(BOB)
    back = await backend.join(BOB, "g", Position("another", 1), 1)
    assert (texts(back), back.gap) == (["c"], True)  # with a gap it is as if one were new
    back = await backend.join(BOB, "g", start, 1)
    assert texts(back) == ["a", "b", "c"]


async def test_a_key_is_good_for_one_post(backend: Backend, node: Listener) -> None:
    await backend.join(ADA, "g")
    await backend.join(ADA2, "other")
    assert await backend.publish(message("g", "once"), "k") == 1
    await backend.join(BOB, "g")
    backend.attach(Listener(backend))
    assert await backend.publish(message("g", "twice"), "k") == 1  # the first result, though two would hear it now
    await node.settled()
    assert [event.seq for _, event in node.group_events if isinstance(event, Message)] == [1]
    bob = Message(msgspec.Raw(b"1"), "bob", "3", "g", 0)
    assert await backend.publish(bob, "k") == 2  # keys of others, and for other groups, are others
    assert await backend.publish(message("other"), "k") >= 1
    assert await backend.publish(message("g"), "k2") == 2
    private = Private(msgspec.Raw(b"1"), "ada", "1")
    first = await backend.post_to_user("bob", private, "k")
    assert await backend.post_to_user("bob", private, "k") == first
    await node.settled()
    assert len(node.privates) == 1


async def test_too_few_recipients_and_nothing_is_sent(backend: Backend, node: Listener) -> None:
    position = (await backend.join(ADA, "g")).position
    await node.notices()
    with pytest.raises(CommandError, match="min_recipients"):
        await backend.publish(message("g"), "k", 2)
    with pytest.raises(CommandError, match="min_recipients"):
        await backend.post_to_user("bob", Private(msgspec.Raw(b"1"), "ada", "1"), "k", 2)
    with pytest.raises(CommandError, match="min_recipients"):
        await backend.publish(message("nobody"), None, 1)
    await node.settled()
    assert (node.group_events, node.privates) == ([], [])
    assert (await backend.join(ADA, "g")).position == position
    assert await backend.publish(message("g"), "k", 1) == 1  # a refused post has not used its key


async def test_private_messages_wait_in_the_inbox(backend: Backend, node: Listener) -> None:
    cat = UserRow("cat", "9")
    start = (await backend.connect(cat, 10)).position
    for text in (b"1", b"2"):
        await backend.post_to_user("cat", Private(msgspec.Raw(text), "ada", "1"))
    await backend.remove_connection(cat)
    assert not await backend.connected("cat")
    await backend.post_to_user("cat", Private(msgspec.Raw(b"3"), "ada", "1"))
    back = await backend.connect(cat, 10, Position(start.epoch, 1))
    assert ([bytes(event.message) for event in back.events], back.gap) == ([b"2", b"3"], False)
    assert back.position == Position(start.epoch, 3)
    assert (await backend.connect(UserRow("cat", "10"), 10)).events == ()
    assert (await backend.connect(UserRow("cat", "11"), 10, Position("another", 1))).gap


async def test_a_message_to_an_unknown_group_is_delivered_to_nobody(backend: Backend, node: Listener) -> None:
    assert await backend.publish(message("nobody is here")) == 0
    await node.settled()
    assert node.group_events == []


async def test_users_page(backend: Backend, node: Listener) -> None:
    for row in (BOB, ADA2, ADA):
        await backend.join(row, "g")
    page = await backend.users("g", parse_user_query(Users(limit=2), 1000))
    assert (page.list, page.end_of_list) == ([ADA, ADA2], False)
    page = await backend.users("g", parse_user_query(Users(start_key=page.start_key), 1000))
    assert (page.list, page.start_key) == ([BOB], "end")
    assert (await backend.users("unknown", parse_user_query(Users(), 1000))).list == []


async def test_private_messages_signals_and_disconnects_reach_the_nodes(backend: Backend, node: Listener) -> None:
    private = Private(msgspec.Raw(b"1"), "ada", "1")
    assert await backend.post_to_user("bob", private) == 1
    await node.settled()
    assert node.privates == [("bob", msgspec.structs.replace(private, seq=1))]
    signal = Signaled(msgspec.Raw(b'{"candidate":""}'), "ada", "1")
    assert await backend.signal("3", signal) == 1
    await node.settled()
    assert node.signals == [("3", signal)]
    assert await backend.disconnect_user("bob") == 1
    assert await backend.disconnect_connection("4") == 1
    await node.settled()
    assert node.disconnected == [("bob", None), (None, "4")]


async def test_connections_of_a_user_are_limited(backend: Backend, node: Listener) -> None:
    with pytest.raises(CommandError):
        await backend.connect(UserRow("ada", "9"), 2)
    assert await backend.count() == (0, 4)
    await backend.remove_connection(ADA)
    await backend.connect(UserRow("ada", "9"), 2)


async def test_connected(backend: Backend, node: Listener) -> None:
    assert await backend.connected("ada")
    await backend.remove_connection(ADA)
    assert await backend.connected("ada")
    await backend.remove_connection(ADA2)
    assert not await backend.connected("ada")
    assert not await backend.connected("zoe")


async def test_every_node_with_a_member_receives_everything(
    backend: Backend, node: Listener, make: Callable[[], Backend]
) -> None:
    other = make()
    second = Listener(other)
    other.attach(second)
    await other.start()
    zoe = UserRow("zoe", "5")
    await other.connect(zoe, 10)
    await other.join(zoe, "g")
    await second.notices()
    node.group_events.clear()
    await backend.join(ADA, "g")
    assert await node.notices() == await second.notices() == [("g", "USER_JOINED", "1", 1)]
    assert await backend.publish(message("g")) == 2
    for listener in (node, second):
        await listener.settled()
        assert [(group, e.seq) for group, e in listener.group_events if isinstance(e, Message)] == [("g", 1)]
    assert await other.connected("ada")
    await other.close()
