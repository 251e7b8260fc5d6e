"""A real valkey-server, one for all tests here, empty at the start of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
