"""Time does not jump over what the app does in real time: threads, and sockets while a hook runs."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio.to_thread
import pytest

from hubbub.hub.hub import Hub
from hubbub.hub.types import Post
from hubbub.testing import TestHub, real_work
from hubbub.testing.virtual_time import virtual_time

REAL = 0.05
"""Seconds that real work takes in these tests."""


async def in_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, REAL)


async def in_anyio_thread() -> None:
    await anyio.to_thread.run_sync(time.sleep, REAL)


@pytest.mark.parametrize("work", [in_executor, in_anyio_thread])
async def test_time_does_not_jump_over_a_thread(work: Callable[[], Awaitable[None]]) -> None:
    clock = virtual_time()
    with clock.jumping():
        async with asyncio.timeout(60):  # over at once, if time jumped
            await work()
        began = clock.monotonic()
        await asyncio.sleep(60)
    assert clock.monotonic() - began == 60


async def test_settled_means_that_no_thread_works() -> None:
    clock, done = virtual_time(), list[str]()

    async def work() -> None:
        await asyncio.to_thread(time.sleep, REAL)
        done.append("done")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await clock.settle()
    assert done == ["done"]
    await task


async def test_a_thread_that_runs_for_as_long_as_the_app_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_work, "LONGEST", 0.0)
    clock, end = virtual_time(), threading.Event()
    consumer = asyncio.get_running_loop().run_in_executor(None, end.wait)
    with clock.jumping():
        await asyncio.sleep(3600)
    end.set()
    await consumer


@pytest.fixture
def database() -> Iterator[tuple[str, int]]:
    """A server in a thread, which answers after a while."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while question := connection.recv(100):
                    time.sleep(REAL)
                    connection.sendall(question)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


async def test_a_hook_that_asks_a_database(database: tuple[str, int]) -> None:
    hub = Hub(guests=True)
    reader, writer = await asyncio.open_connection(*database)

    @hub.on_post
    async def store(post: Post[Any]) -> Any:
        writer.write(b"insert\n")
        return (await reader.readline()).decode()

    async with TestHub(hub) as tested:
        ada = await tested.guest("ada", join="g")
        await ada.post("hello")
        assert (await ada.next()).message == "insert\n"
        await tested.sleep(3600)  # no hook runs, so the open connection does not hold up the time
    writer.close()
    await writer.wait_closed()
