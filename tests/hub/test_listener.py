"""Listeners: every message once and in order, a bounded queue, and no silent loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from hubbub.errors import CommandError, HubError
from hubbub.hub import listener
from hubbub.hub.hub import Hub
from hubbub.hub.listener import Messages
from hubbub.messages import Gap, Message, Position


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """A hub that runs without an app."""
    made = Hub(guests=True)
    await made.get()
    yield made
    await made._lifecycle.stop()


async def test_every_message_is_heard_and_nobody_counts_the_listener(hub: Hub) -> None:
    async with hub.listen("kitchen") as messages:
        for number in range(3):
            assert (await hub.post("kitchen", {"n": number}, sender="bob")).recipients == 0
        await hub.post("other", "no")
        heard = [await anext(messages) for _ in range(3)]
        assert [(each.message, each.sender, each.sender_cid, each.sender_rid) for each in heard] == [
            ({"n": number}, "bob", None, "kitchen") for number in range(3)
        ]
        assert [each.seq for each in heard] == [1, 2, 3]
        assert (await hub.groups()).list == []
    async with hub.listen("kitchen") as again:
        await hub.post("kitchen", "next")
        assert (await anext(again)).message == "next"


async def test_a_slow_listener_gets_what_waits_and_then_an_error(hub: Hub) -> None:
    async with hub.listen("g", max_messages=2) as slow, hub.listen("g") as fast:
        for number in range(4):
            await hub.post("g", number)
        assert [(await anext(slow)).message for _ in range(2)] == [0, 1]
        with pytest.raises(CommandError, match="max_messages") as failed:
            await anext(slow)
        assert failed.value.code == "TOO_LARGE"
        assert [(await anext(fast)).message for _ in range(4)] == [0, 1, 2, 3]


async def test_the_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MOST_BYTES", 100)
    messages = Messages("g", 1000)
    for _ in range(3):
        messages.put(Message(msgspec.Raw(b'"' + b"x" * 48 + b'"'), "a", None, "g", 1))
    assert [len((await anext(messages)).message) for _ in range(2)] == [48, 48]
    with pytest.raises(CommandError, match="too slow"):
        await anext(messages)


async def test_messages_that_the_store_has_lost_are_an_error() -> None:
    messages = Messages("g", 10)
    messages.put(Message(msgspec.Raw(b"1"), "a", None, "g", 1))
    messages.put(Gap("g", Position("e", 5)))
    assert (await anext(messages)).message == 1
    with pytest.raises(CommandError, match="missing"):
        await anext(messages)


async def test_the_end_of_the_hub_ends_a_listener() -> None:
    hub = Hub(guests=True)
    async with hub.listen("g") as messages:
        waiting = asyncio.create_task(anext(messages))
        await asyncio.sleep(0)
        await hub._lifecycle.stop()
        with pytest.raises(HubError, match="stopped"):
            await waiting


async def test_wrong_use(hub: Hub) -> None:
    with pytest.raises(CommandError, match="group"):
        hub.listen("")
    with pytest.raises(CommandError, match="max_messages"):
        hub.listen("g", max_messages=0)
    listening = hub.listen("g")
    async with listening:
        pass
    with pytest.raises(HubError, match=r"call hub\.listen again"):
        await listening.__aenter__()
