"""What the program around a node asks of every backend: results of posts by key, and groups that it listens to."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hubbub.backends.base import Backend
from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.groups.directory import parse_query
from hubbub.groups.history import Window
from hubbub.messages import Groups, Message, Private
from support.listener import ADA, BOB, Listener
from support.store import Store

TEXT = msgspec.Raw(b'"hi"')


def message(group: str, sender_cid: str | None = "1") -> Message:
    return Message(TEXT, "ada", sender_cid, group, 0)


def heard(node: Listener, group: str) -> list[int | None]:
    return [event.seq for name, event in node.group_events if name == group and isinstance(event, Message)]


async def test_the_result_of_a_post_is_found_by_its_key(backend: Backend, node: Listener) -> None:
    await backend.join(ADA, "g")
    assert await backend.find_post("ada", "k", group="g") is None
    await backend.publish(message("g"), "k")
    assert await backend.find_post("ada", "k", group="g") == 1
    for sender, key, group in [("bob", "k", "g"), ("ada", "other", "g"), ("ada", "k", "h")]:
        assert await backend.find_post(sender, key, group=group) is None
    assert await backend.find_post("ada", "k", user_id="g") is None
    sent = await backend.post_to_user("bob", Private(TEXT, "ada", "1"), "k")
    assert await backend.find_post("ada", "k", user_id="bob") == sent


async def test_a_group_that_is_listened_to(backend: Backend, node: Listener) -> None:
    await backend.publish(message("g", None))
    await backend.listen("g")
    await backend.listen("g")
    assert await backend.publish(message("g", None)) == (1 if backend.immediate else 0)  # the listener counts as one
    await node.settled()
    assert heard(node, "g") == [1]
    assert (await backend.groups(parse_query(Groups(), 10))).list == []
    assert (await backend.count())[0] == 0
    await backend.join(BOB, "g")
    await backend.leave(BOB)
    await backend.unlisten("g")
    await backend.publish(message("g", None))
    await node.settled()
    assert heard(node, "g") == [1, 2]
    await backend.unlisten("g")


async def test_a_listener_hears_what_another_node_posts(make: Callable[[], Backend]) -> None:
    here, there = make(), make()
    nodes = [Listener(each) for each in (here, there)]
    for each, node in zip((here, there), nodes, strict=True):
        each.attach(node)
        await each.start()
    await here.listen("g")
    for _ in range(3):
        await there.publish(message("g", None))
    await nodes[0].settled()
    assert heard(nodes[0], "g") == [1, 2, 3]
    await here.unlisten("g")
    for each in (here, there):
        await each.close()


async def test_without_history_too() -> None:
    backend = MemoryBackend(Window(messages=0))
    node = Listener(backend)
    backend.attach(node)
    await backend.listen("g")
    backend.sweep()
    backend.publish_now(message("g", None))
    await backend.unlisten("g")
    assert (backend.publish_now(message("g", None)), heard(node, "g")) == (0, [1])


async def test_a_listened_group_outlasts_the_window() -> None:
    now = 0.0
    backend = MemoryBackend(Window(age=10, idle_groups=1), now=lambda: now)
    node = Listener(backend)
    backend.attach(node)
    await backend.listen("g")
    for _ in range(5):
        now += 8
        backend.sweep()
        backend.publish_now(message("g", None))
    assert heard(node, "g") == [1, 2, 3, 4, 5]


async def test_members_of_a_dead_node_are_reported_once(store: Store) -> None:
    dead, *others = (ValkeyBackend(parse_address(store.url())) for _ in range(3))
    nodes = [Listener(each) for each in others]
    for each in (dead, *others):
        await each.start()
    for each, node in zip(others, nodes, strict=True):
        each.attach(node)
    dead.attach(Listener(dead))
    await dead.connect(ADA, 10)
    await dead.join(ADA, "g")
    incarnation = dead._shards[0].incarnation
    await dead.abort()
    for each in others:
        await each._shards.registrations[0]._expiry._expire(incarnation, 1)  # a millisecond of silence
    assert nodes[0].lost + nodes[1].lost == [(ADA, "g")]
    await others[0].connect(BOB, 10)
    await others[0].join(BOB, "g")
    for each in others:
        await each.close()
    assert nodes[0].lost + nodes[1].lost == [(ADA, "g")]  # a node that stops reports nothing
