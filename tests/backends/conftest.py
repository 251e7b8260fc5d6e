"""A real valkey-server and a real cluster, one for all tests here, empty at the start of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from hubbub.backends.base import Backend
from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.groups.history import Window
from support.cluster import ClusterStore
from support.listener import ADA, ADA2, BOB, EVE, Listener
from support.store import Store

WINDOW = Window(restart_grace=0.4)


@pytest.fixture(scope="session")
def running_store() -> Iterator[Store]:
    """The server itself."""
    with Store() as running:
        yield running


@pytest.fixture
async def store(running_store: Store) -> Store:
    """The server, emptied."""
    await running_store.run("FLUSHALL")
    return running_store


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[ClusterStore]:
    """The cluster itself."""
    with ClusterStore(timeout=15_000) as running:  # no test kills one of its servers
        loop = asyncio.new_event_loop()  # those of tests live no longer than a test
        loop.run_until_complete(running.form())
        loop.close()
        yield running


@pytest.fixture
async def cluster(running_cluster: ClusterStore) -> ClusterStore:
    """The cluster, emptied."""
    await running_cluster.flush()
    return running_cluster


def make_memory(request: pytest.FixtureRequest) -> Callable[[], Backend]:
    one = MemoryBackend(WINDOW)
    return lambda: one  # its nodes share the object itself


def make_valkey(request: pytest.FixtureRequest) -> Callable[[], Backend]:
    store: Store = request.getfixturevalue("store")
    return lambda: ValkeyBackend(parse_address(store.url()), WINDOW)


def make_cluster(request: pytest.FixtureRequest) -> Callable[[], Backend]:
    cluster: ClusterStore = request.getfixturevalue("cluster")
    return lambda: ValkeyBackend(parse_address(cluster.url()), WINDOW)


@pytest.fixture(params=[make_memory, make_valkey, make_cluster])
def make(request: pytest.FixtureRequest) -> Callable[[], Backend]:
    """Make what one node holds of the backend; what several calls return share everything."""
    return request.param(request)


@pytest.fixture
async def backend(make: Callable[[], Backend]) -> AsyncIterator[Backend]:
    one = make()
    await one.start()
    yield one
    await one.close()


@pytest.fixture
async def node(backend: Backend) -> Listener:
    listener = Listener(backend)
    backend.attach(listener)
    for row in (ADA, ADA2, BOB, EVE):
        await backend.connect(row, 10)
    return listener
