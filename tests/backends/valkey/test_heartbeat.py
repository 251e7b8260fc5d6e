"""A node whose loop is busy is late, not dead, and is not announced. One that stays busy is declared dead."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from hubbub.backends.valkey import expiry, heartbeat, link
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.messages import UserRow
from support.cluster import ClusterStore
from support.store import Store
from support.store_model import NoticeRecorder
from support.waiting import reached

ADA, BOB = UserRow("ada", "1"), UserRow("bob", "2")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases expire after two seconds instead of three."""
    monkeypatch.setattr(expiry, "SILENCE", 2.0)
    for module in (expiry, link, heartbeat):
        monkeypatch.setattr(module, "HEARTBEAT", 0.2)


class BusyNode:
    """A node in a thread of its own, with one member of the group ``g``; its loop can be kept busy."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.opened = 0

    def _run(self) -> None:
        self._loop.run_until_complete(self._start())
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self.backend.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _start(self) -> None:
        self.backend = ValkeyBackend(parse_address(self._url))
        self.backend.attach(NoticeRecorder())
        await self.backend.start()
        await self.backend.connect(ADA, 10)
        await self.backend.join(ADA, "g")

    def start(self) -> None:
        self._thread.start()
        self._up.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Block the loop with computing until the block ends."""
        done = threading.Event()

        async def compute() -> None:
            while not done.is_set():
                pass

        computing = asyncio.run_coroutine_threadsafe(compute(), self._loop)
        try:
            yield
        finally:
            done.set()
        await asyncio.wrap_future(computing)

    async def busy_for_longer_than_its_lease(self) -> None:
        """Block the loop with computing for half as long again as a lease lasts."""
        async with self.busy():
            await asyncio.sleep(1.5 * expiry.SILENCE)

    async def serves(self) -> None:
        """Wait until it has reached the store again."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.backend.count(), self._loop))


@contextmanager
def running(url: str) -> Iterator[BusyNode]:
    node = BusyNode(url)
    node.start()
    try:
        yield node
    finally:
        node.stop()


async def observer(url: str) -> tuple[ValkeyBackend, NoticeRecorder]:
    backend, recorder = ValkeyBackend(parse_address(url)), NoticeRecorder()
    backend.attach(recorder)
    await backend.start()
    await backend.connect(BOB, 10)
    await backend.join(BOB, "g")
    await backend.count()  # all notices have arrived when this returns
    return backend, recorder


async def test_a_node_that_is_busy_for_longer_than_its_lease_is_not_announced(store: Store) -> None:
    await stays_a_member(store.url())


async def test_a_busy_node_in_a_cluster_is_not_announced_either(cluster: ClusterStore) -> None:
    await stays_a_member(cluster.url())


async def stays_a_member(url: str) -> None:
    with running(url) as node:
        backend, recorder = await observer(url)
        opened = [shard.link.opened for shard in node.backend._shards]
        recorder.notices.clear()
        await node.busy_for_longer_than_its_lease()
        await node.serves()
        assert await backend.count() == (1, 2)
        assert recorder.notices == []
        # The node did not take its own delay for one of the store, and did not reconnect.
        assert [shard.link.opened for shard in node.backend._shards] == opened
        await backend.close()


async def test_a_node_whose_loop_never_turns_again_is_declared_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "STALL", 0.5)
    with running(store.url()) as node:
        backend, recorder = await observer(store.url())
        recorder.notices.clear()
        async with node.busy():
            await reached(lambda: recorder.notices == [("USER_DISCONNECTED", "g", "1")])
        await reached(lambda: len(recorder.notices) > 1)  # it is alive after all
        assert recorder.notices == [("USER_DISCONNECTED", "g", "1"), ("USER_JOINED", "g", "1")]
        assert await backend.count() == (1, 2)
        await backend.close()


async def test_heartbeats_reconnect(store: Store) -> None:
    with running(store.url()) as node:
        backend, recorder = await observer(store.url())
        recorder.notices.clear()
        await store.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # the connections of the heartbeats
        await node.busy_for_longer_than_its_lease()
        assert recorder.notices == []
        await backend.close()


async def test_heartbeats_work_when_the_store_is_full(store: Store) -> None:
    with running(store.url()) as node:
        backend, recorder = await observer(store.url())
        recorder.notices.clear()
        await store.run("CONFIG", "SET", "maxmemory", 1)
        try:
            await node.busy_for_longer_than_its_lease()
            assert recorder.notices == []
        finally:
            await store.run("CONFIG", "SET", "maxmemory", 0)
        await backend.close()
