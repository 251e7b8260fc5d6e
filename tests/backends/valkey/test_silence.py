"""The time limit of what waits for the store: time in which the loop was busy does not count."""

from __future__ import annotations

import asyncio
import time

import pytest

from hubbub.backends.valkey import silence
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.silence import Looks, time_limit
from support.store import Store


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is a third of a second."""
    monkeypatch.setattr(silence, "PATIENCE", 0.3)
    monkeypatch.setattr(silence, "WATCH", 0.02)


@pytest.mark.usefixtures("short")
async def test_what_takes_too_long_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with time_limit():
            await asyncio.Event().wait()
    assert time.monotonic() - began > 0.2


@pytest.mark.usefixtures("short")
async def test_a_busy_loop_has_as_much_time_as_any_other() -> None:
    async with time_limit():
        time.sleep(1)  # noqa: ASYNC251  # the loop is busy
        for _ in range(3):
            await asyncio.sleep(0)


async def test_who_is_cancelled_from_outside_learns_so() -> None:
    async def wait() -> None:
        async with time_limit():
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_look_that_comes_late_counts_little() -> None:
    looks = Looks()
    time.sleep(3 * silence.WATCH)  # noqa: ASYNC251
    assert looks.look() == 2 * silence.WATCH


@pytest.mark.usefixtures("short")
async def test_a_node_starts_though_its_loop_is_busy(store: Store) -> None:
    backend = ValkeyBackend(parse_address(store.url()))
    starting = asyncio.create_task(backend.start())
    while not starting.done():
        time.sleep(0.1)  # noqa: ASYNC251  # so it takes several seconds
        await asyncio.sleep(0)
    await starting
    await backend.close()
