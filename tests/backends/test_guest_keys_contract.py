"""What every backend promises about guest keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from hubbub.auth.guest_keys import guest_key_digest
from hubbub.backends.base import Backend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Position, Private, UserRow
from support.store import Store
from support.waiting import PATIENCE

ADA, TAB, EVE = UserRow("ada", "1"), UserRow("ada", "2"), UserRow("ada", "3")
KEY, OTHER = guest_key_digest("a"), guest_key_digest("b")


async def refused(backend: Backend, row: UserRow, key: bytes | None) -> None:
    with pytest.raises(CommandError, match='"ada" is in use') as caught:
        await backend.connect(row, 10, None, None, key)
    assert caught.value.code == ErrorCode.FORBIDDEN


async def test_a_name_in_use_needs_its_key(backend: Backend) -> None:
    await backend.connect(ADA, 10, None, None, KEY)
    await refused(backend, EVE, OTHER)
    await backend.connect(TAB, 10, None, None, KEY)
    await backend.remove_connection(ADA)
    await refused(backend, EVE, OTHER)
    await backend.remove_connection(TAB)
    await backend.connect(EVE, 10, None, None, OTHER)
    await refused(backend, ADA, KEY)


async def test_on_all_nodes(backend: Backend, make: Callable[[], Backend]) -> None:
    first, second = backend, make()
    await second.start()
    await first.connect(ADA, 10, None, None, KEY)
    await refused(second, EVE, OTHER)
    await second.connect(TAB, 10, None, None, KEY)
    await second.close()


async def test_the_inbox_stays_with_the_key(backend: Backend) -> None:
    start = (await backend.connect(ADA, 10, None, None, KEY)).position
    await backend.remove_connection(ADA)
    await backend.post_to_user("ada", Private(msgspec.Raw(b'"secret"'), "bob", "9"))
    found = await backend.connect(TAB, 10, start, None, KEY)
    assert [bytes(event.message) for event in found.events] == [b'"secret"']
    await backend.remove_connection(TAB)
    taken = await backend.connect(EVE, 10, start, None, OTHER)
    assert (taken.events, taken.gap) == ((), True)
    assert taken.position.epoch != start.epoch
    assert taken.position.seq == 0
    again = await backend.connect(UserRow("ada", "4"), 10, Position(taken.position.epoch, 0), None, OTHER)
    assert again.events == ()


async def test_a_store_that_lost_everything_learns_the_keys_again(store: Store) -> None:
    node, other = (ValkeyBackend(parse_address(store.url())) for _ in range(2))
    await node.start()
    await other.start()
    await node.connect(ADA, 10, None, None, KEY)
    await store.run("FLUSHALL")
    async with asyncio.timeout(PATIENCE):
        while await store.run("HGET", "hubbub:{0.0}:j:ada", "g") != KEY or not other.ready:
            await asyncio.sleep(0.01)
    await refused(other, EVE, OTHER)
    await other.connect(TAB, 10, None, None, KEY)
    await node.close()
    await other.close()
