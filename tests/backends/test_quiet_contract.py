"""Messages that are not kept or not echoed, and what is replayed of groups that are listened to, on each backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from hubbub.backends.base import Backend
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Message, Position, Private, UserRow
from support.listener import ADA, ADA2, BOB, EVE, Listener

HI = msgspec.Raw(b'"hi"')
TYPING = msgspec.Raw(b'"typing"')


def message(raw: msgspec.Raw = HI, group: str = "g", sender: UserRow = ADA) -> Message:
    return Message(raw, sender.user_id, sender.connection_id, group, 0)


def private(raw: msgspec.Raw = HI, sender: UserRow = ADA) -> Private:
    return Private(raw, sender.user_id, sender.connection_id)


def heard(node: Listener, group: str = "g") -> list[tuple[bytes, int | None]]:
    return [(bytes(e.message), e.seq) for name, e in node.group_events if name == group and isinstance(e, Message)]


def inbox(node: Listener) -> list[tuple[str, bytes, int | None]]:
    return [(name, bytes(e.message), e.seq) for name, e in node.privates if isinstance(e, Private)]


@pytest.fixture
async def nodes(make: Callable[[], Backend]) -> AsyncIterator[list[Listener]]:
    """Two nodes: Ada is connected to the first, Bob and Ada's second connection to the other."""
    found = []
    for rows in ((ADA,), (ADA2, BOB)):
        backend = make()
        node = Listener(backend)
        backend.attach(node)
        await backend.start()
        for row in rows:
            await backend.connect(row, 10)
        found.append(node)
    yield found
    for node in found:
        await node.backend.close()


async def test_an_unkept_message_has_no_number_and_is_replayed_to_nobody(backend: Backend, node: Listener) -> None:
    start = (await backend.join(ADA, "g")).position
    await backend.join(BOB, "g")
    assert await backend.publish(message()) == (1 if backend.immediate else 2)
    await backend.publish(message(TYPING), keep=False)
    await backend.publish(message())
    await node.settled()
    assert heard(node) == [(b'"hi"', 1), (b'"typing"', None), (b'"hi"', 2)]
    replay = await backend.join(EVE, "g", since=start)
    assert [(bytes(event.message), event.seq) for event in replay.events] == [(b'"hi"', 1), (b'"hi"', 2)]
    assert (replay.position.seq, replay.gap) == (2, False)


async def test_an_unkept_message_reaches_the_members_on_other_nodes(nodes: list[Listener]) -> None:
    here, there = nodes
    for node, row in ((here, ADA), (there, BOB)):
        await node.backend.join(row, "g")
    await here.backend.publish(message(TYPING), keep=False)
    await here.backend.publish(message())
    for node in nodes:
        await node.settled()
    assert heard(here) == heard(there) == [(b'"typing"', None), (b'"hi"', 1)]


async def test_a_message_without_echo(nodes: list[Listener]) -> None:
    here, there = nodes
    for node, row in ((here, ADA), (there, BOB), (there, ADA2)):
        await node.backend.join(row, "g")
    one = here.backend is there.backend  # both receivers get everything then
    for keep in (True, False):
        recipients = await here.backend.publish(message(), keep=keep, echo=False)
        assert recipients == (0 if one else 2)
    assert await here.backend.publish(message(), keep=False) == (2 if one else 3)
    for node in nodes:
        await node.settled()
    assert [e.seq for e in here.without_echo] == [1, None]
    assert [e.seq for e in there.without_echo] == [1, None]
    assert [seq for _, seq in heard(here)] == [None]
    assert (await here.backend.join(ADA, "h", None)).position.seq == 0
    assert (await here.backend.join(ADA, "g")).position.seq == 1


async def test_a_post_without_echo_that_is_repeated_is_done_once(backend: Backend, node: Listener) -> None:
    await backend.join(ADA, "g")
    await backend.join(BOB, "g")
    first = await backend.publish(message(), "k", echo=False)
    assert first == (0 if backend.immediate else 1)
    assert await backend.publish(message(), "k", echo=False) == first
    assert await backend.find_post("ada", "k", group="g") == first
    await node.settled()
    assert len(node.without_echo) == 1


@pytest.mark.parametrize("keep", [True, False])
async def test_the_least_number_of_recipients_does_not_count_the_sender(
    backend: Backend, node: Listener, *, keep: bool
) -> None:
    await backend.join(ADA, "g")
    await backend.join(BOB, "g")
    text = "Nothing was sent: 1 connections would receive it"
    with pytest.raises(CommandError, match=text) as refused:
        await backend.publish(message(), least=2, keep=keep, echo=False)
    assert refused.value.code is ErrorCode.INVALID_REQUEST
    with pytest.raises(CommandError, match=text):
        await backend.post_to_user("ada", private(), least=2, keep=keep, echo=False)
    await backend.publish(message(), least=1, keep=keep, echo=False)
    await backend.publish(message(), least=2, keep=keep)
    await backend.post_to_user("ada", private(), least=1, keep=keep, echo=False)
    await backend.post_to_user("ada", private(), least=2, keep=keep)


async def test_an_unkept_private_message_is_in_no_inbox(backend: Backend, node: Listener) -> None:
    start = Position((await backend.connect(UserRow("bob", "9"), 10)).position.epoch, 0)
    await backend.post_to_user("bob", private(TYPING), keep=False)
    await backend.post_to_user("bob", private())
    await node.settled()
    assert inbox(node) == [("bob", b'"typing"', None), ("bob", b'"hi"', 1)]
    replay = await backend.connect(UserRow("bob", "10"), 10, start)
    assert [event.seq for event in replay.events] == [1]
    assert await backend.post_to_user("nobody", private(TYPING), keep=False) == 0


@pytest.mark.parametrize("keep", [True, False])
async def test_a_private_message_to_oneself_without_echo(backend: Backend, node: Listener, *, keep: bool) -> None:
    recipients = await backend.post_to_user("ada", private(), keep=keep, echo=False)
    assert recipients == (0 if backend.immediate else 1)
    assert await backend.post_to_user("bob", private(), keep=keep, echo=False) == 1
    await node.settled()
    assert node.left_out == ["1"]
    assert (
        [(name, seq) for name, _, seq in inbox(node)] == [("ada", 1), ("bob", 1)]
        if keep
        else [("ada", None), ("bob", None)]
    )


async def test_nothing_is_sent_to_a_group_that_does_not_exist(backend: Backend, node: Listener) -> None:
    assert await backend.publish(message(), keep=False) == 0
    assert await backend.publish(message(), keep=False, echo=False) == 0
    await node.settled()
    assert heard(node) == []


async def test_a_group_that_is_listened_to_is_replayed(backend: Backend, node: Listener) -> None:
    start = (await backend.join(ADA, "g")).position
    for _ in range(3):
        await backend.publish(message())
    replay = await backend.listen("g", start, charged="bob")
    assert ([event.seq for event in replay.events], replay.position.seq, replay.gap) == ([1, 2, 3], 3, False)
    replay = await backend.listen("g", None, 2)
    assert [event.seq for event in replay.events] == [2, 3]
    replay = await backend.listen("g", Position("another", 1))
    assert (replay.events, replay.gap) == ((), True)
    for _ in range(3):
        await backend.unlisten("g")
