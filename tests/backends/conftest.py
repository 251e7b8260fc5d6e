"""A real valkey-server and a real cluster, one for all tests here, empty at the start of each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from cluster import ClusterStore
from store import Store


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
    with ClusterStore() as running:
        loop = asyncio.new_event_loop()  # those of tests live no longer than a test
        loop.run_until_complete(running.form())
        loop.close()
        yield running


@pytest.fixture
async def cluster(running_cluster: ClusterStore) -> ClusterStore:
    """The cluster, emptied."""
    await running_cluster.flush()
    return running_cluster
