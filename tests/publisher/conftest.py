"""A store, a server on it, and each kind of publisher: over HTTP and over the store, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from hubbub import AsyncPublisher, Publisher
from hubbub.server import Server
from support.clients import SECRET, token
from support.store import Store


@pytest.fixture(scope="session")
def running_store() -> Iterator[Store]:
    """A valkey-server."""
    with Store() as running:
        yield running


@pytest.fixture
async def store(running_store: Store) -> Store:
    """The valkey-server, emptied."""
    await running_store.run("FLUSHALL")
    return running_store


@pytest.fixture
async def node(store: Store, start: Callable[..., Awaitable[Server]]) -> Server:
    """A server on the store."""
    return await start(backend=store.url(), secret=SECRET)


def app_token(**claims: Any) -> str:
    """Return the server token that publishers use; its sub is what recipients see over the store as well."""
    return token("server", role="server", **claims)


class Awaitably:
    """A synchronous publisher as the asynchronous one: each call waits in a thread of its own."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._publisher, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *arguments, **options)

        return call


@pytest.fixture(params=["sync http", "async http", "sync store", "async store"])
async def publisher(request: pytest.FixtureRequest, node: Server, store: Store) -> AsyncIterator[Any]:
    """Each kind of publisher, with awaitable methods."""
    kind, way = request.param.split()
    url, options = store.url(), dict[str, Any]()
    if way == "http":
        url, options = node.url, {"token": app_token()}
    made: Any = AsyncPublisher(url, **options) if kind == "async" else Awaitably(Publisher(url, **options))
    yield made
    await made.close()
