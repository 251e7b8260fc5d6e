"""Groups that a program listens to are renewed in the store, and a group that was lost there is reported."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.errors import CommandError
from hubbub.groups.history import Window
from hubbub.messages import Gap, Message
from support.listener import Listener
from support.store import Store
from support.waiting import PATIENCE


async def test_a_listened_group_outlasts_the_window_and_its_loss_is_a_gap(store: Store) -> None:
    backend = ValkeyBackend(parse_address(store.url()), Window(age=0.3))
    node = Listener(backend)
    await backend.start()
    backend.attach(node)
    await backend.listen("g")
    key = f"{backend._shards[0].prefix}g:g"
    assert 0 < int(str(await store.run("PTTL", key))) <= 300
    ends = asyncio.get_running_loop().time() + 0.6  # two windows
    while asyncio.get_running_loop().time() < ends:
        assert await store.run("EXISTS", key)
        await asyncio.sleep(0.02)
    await store.run("DEL", key)
    async with asyncio.timeout(PATIENCE):
        while not any(isinstance(event, Gap) for _, event in node.group_events):
            await asyncio.sleep(0.01)
    await backend.publish(Message(msgspec.Raw(b"1"), "ada", None, "g", 0))
    await node.settled()
    assert isinstance(node.group_events[-1][1], Message)
    await backend.unlisten("g")
    await backend.close()


async def test_without_the_store_nobody_listens(store: Store) -> None:
    backend = ValkeyBackend(parse_address(store.url()))
    await backend.start()
    await backend._shards.abort()
    with pytest.raises(CommandError):
        await backend.listen("g")
    assert backend._shards[0].inbound.groups.names() == []
    await backend.close()


async def test_a_listener_can_end_after_the_node(store: Store) -> None:
    backend = ValkeyBackend(parse_address(store.url()))
    await backend.start()
    await backend.listen("g")
    await backend.close()
    await backend.unlisten("g")
