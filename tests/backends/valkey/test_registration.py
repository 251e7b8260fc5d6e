"""How a shard is corrected in difficult moments: a full store, an overload, a node that was declared dead twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hubbub.backends.valkey import chunks, connection, correction
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.shard import Shard
from hubbub.errors import CommandError
from hubbub.messages import UserRow
from support.store import Store
from support.store_model import NoticeRecorder

ADA, BOB = UserRow("ada", "1"), UserRow("bob", "2")


async def started(store: Store) -> tuple[ValkeyBackend, NoticeRecorder]:
    backend, recorder = ValkeyBackend(parse_address(store.url())), NoticeRecorder()
    backend.attach(recorder)
    await backend.start()
    return backend, recorder


@pytest.fixture
async def observed(store: Store) -> AsyncIterator[tuple[ValkeyBackend, NoticeRecorder]]:
    """A node with bob in a group, and the notices that he gets."""
    backend, recorder = await started(store)
    await backend.connect(BOB, 10)
    await backend.join(BOB, "g")
    yield backend, recorder
    await backend.close()


async def notices_of(observed: tuple[ValkeyBackend, NoticeRecorder]) -> list[tuple[str, str]]:
    await observed[0].count()  # all notices have arrived when this returns
    return [(code, connection_id) for code, _, connection_id in observed[1].notices if connection_id != "2"]


async def ready(backend: ValkeyBackend) -> None:
    while not backend.ready:
        await asyncio.sleep(0.01)


async def test_leaving_and_disconnecting_work_on_a_full_store(
    store: Store, observed: tuple[ValkeyBackend, NoticeRecorder]
) -> None:
    backend = observed[0]
    await backend.connect(ADA, 10)
    await backend.join(ADA, "g")
    await store.run("CONFIG", "SET", "maxmemory", 1)
    try:
        for refused in (backend.join(ADA, "h"), backend.connect(UserRow("eve", "3"), 10)):
            with pytest.raises(CommandError, match="OOM"):
                await refused
        await backend.leave(BOB)
        await backend.remove_connection(ADA)
        assert await backend.count() == (0, 1)
        assert backend.ready
    finally:
        await store.run("CONFIG", "SET", "maxmemory", 0)


async def test_a_connection_lost_while_too_many_commands_wait_is_removed_with_the_next_heartbeat(
    observed: tuple[ValkeyBackend, NoticeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = observed[0]
    await backend.connect(ADA, 10)
    await backend.join(ADA, "g")
    with monkeypatch.context() as context:
        context.setattr(connection, "MAX_PENDING", 0)
        await backend.remove_connection(ADA)
    while await backend.count() != (1, 1):
        await asyncio.sleep(0.01)
    assert await notices_of(observed) == [("USER_JOINED", "1"), ("USER_DISCONNECTED", "1")]


async def test_unsent_bytes_are_limited(
    observed: tuple[ValkeyBackend, NoticeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_UNSENT", -1)
    with pytest.raises(CommandError, match="too many bytes wait"):
        await observed[0].leave(BOB)


async def test_a_node_that_was_declared_dead_and_loses_its_connection_again_is_still_announced(
    store: Store, observed: tuple[ValkeyBackend, NoticeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost again between the new incarnation and its members: the next attempt must still know."""
    backend, _ = await started(store)
    await backend.connect(ADA, 10)
    await backend.join(ADA, "g")
    await backend.abort()
    while ("USER_DISCONNECTED", "1") not in await notices_of(observed):
        await asyncio.sleep(0.01)
    correct, failures = correction.correct, [CommandError, CommandError]

    async def fail_twice(shard: Shard, found: dict[bytes, bytes], known: int) -> None:
        if failures and shard is backend._shards[0]:
            failures.pop()
            shard.link.reset("cut by the test")
        await correct(shard, found, known)

    monkeypatch.setattr(correction, "correct", fail_twice)
    backend._shards[0].link.opened = 1  # it was started before
    starting = asyncio.create_task(backend.start())
    await ready(backend)
    await starting
    assert not failures
    assert await notices_of(observed) == [("USER_JOINED", "1"), ("USER_DISCONNECTED", "1"), ("USER_JOINED", "1")]
    await backend.close()


async def test_connections_that_are_lost_meanwhile_do_not_delay_the_registration_forever(
    store: Store, observed: tuple[ValkeyBackend, NoticeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = observed[0]
    rows = [UserRow("ada", f"ada{n}") for n in range(50)]
    for row in rows:
        await backend.connect(row, 1000)
        await backend.join(row, "g")
    restore = correction.restore

    async def one_goes(*args: object, **options: object) -> None:
        if rows:
            await backend.remove_connection(rows.pop())
        await restore(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(correction, "restore", one_goes)
    backend._shards[0].link.reset("cut by the test")
    while rows:
        await asyncio.sleep(0.01)
    await ready(backend)
    assert await backend.count() == (1, 1)


async def test_every_connection_is_restored_when_there_are_several_chunks(
    store: Store, observed: tuple[ValkeyBackend, NoticeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 7)
    backend = observed[0]
    for n in range(50):
        row = UserRow(f"ada{n}", f"c{n}")
        await backend.connect(row, 10)
        await backend.join(row, f"group{n}")
    await store.run("FLUSHALL")
    backend._shards[0].link.reset("cut by the test")
    while backend.ready:
        await asyncio.sleep(0)
    await ready(backend)
    assert await backend.count() == (51, 51)


async def test_a_node_that_has_resigned_sends_no_heartbeats(
    observed: tuple[ValkeyBackend, NoticeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last heartbeats came to an incarnation that had ended, and made it begin another one."""
    monkeypatch.setattr(chunks, "CHUNK", 1)
    registration = observed[0]._shards.registrations[0]
    await registration.resign()
    await registration.heartbeat()
    assert observed[0].ready
    assert registration.shard.link.opened == 1
