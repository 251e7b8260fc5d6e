"""Fixtures: real servers in the test's event loop, on ports that the system chooses; clients that are cleaned up."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, Peer, Raw, open_peer, open_raw

# Every run tries the same examples, so that only a change makes it fail: `--hypothesis-profile=default` tries others,
# and `make fuzz` searches. No example has a time limit, because on a busy machine any of them may be slow.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``make test`` runs: one more than there are cores, since many tests wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what commands remember, like the secret of guest keys, in a folder of these tests, not the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that accepts guests, as ``hubbub serve`` does without options."""
    async with Server(Settings(port=0)) as running:
        yield running


@pytest.fixture
async def secured() -> AsyncIterator[Server]:
    """A server that requires tokens signed with `support.clients.SECRET`."""
    async with Server(Settings(port=0, secret=SECRET)) as running:
        yield running


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Start further servers: ``await start(max_message=100)``. They stop at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start_server(**settings: Any) -> Server:
            return await stack.enter_async_context(Server(Settings(port=0, **settings)))

        yield start_server


@pytest.fixture
async def peers() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Open WebSockets: ``await peers(server, guest="alice", group="HelloWorld")``; closed at the end of the test."""
    async with AsyncExitStack() as stack:

        async def open_and_keep(server: Server, **options: Any) -> Peer:
            peer = await open_peer(server, **options)
            stack.push_async_callback(peer.socket.close)
            return peer

        yield open_and_keep


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Awaitable[Raw]]]:
    """Open TCP connections: ``await raw(server)``; closed at the end of the test."""
    async with AsyncExitStack() as stack:

        async def open_and_keep(server: Server) -> Raw:
            connection = await open_raw(server)
            stack.push_async_callback(connection.close)
            return connection

        yield open_and_keep


@pytest.fixture
async def browse() -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Make HTTP clients: ``browse(server, headers=…)``; closed at the end of the test."""
    async with AsyncExitStack() as stack:

        def make(server: Server, **options: Any) -> httpx.AsyncClient:
            # Without TLS there are no certificates to load, which takes longer than most tests.
            client = httpx.AsyncClient(base_url=server.url, trust_env=False, verify=False, **options)
            stack.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
async def http(server: Server, browse: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """An HTTP client of `server`, without a token."""
    return browse(server)
