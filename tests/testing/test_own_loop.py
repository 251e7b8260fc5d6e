"""The loop of tests without one."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hubbub.errors import HubError
from hubbub.testing.own_loop import acquire_runner, release_runner, run_blocking


async def running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_hubs_of_one_test_share_a_loop_and_the_last_one_closes_it() -> None:
    first, second = acquire_runner(), acquire_runner()
    assert first is second
    loop = run_blocking(running(), first, None)
    release_runner()
    assert run_blocking(running(), second, loop) is loop
    release_runner()
    assert loop.is_closed()


def test_the_loop_of_another_thread() -> None:
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    runner = acquire_runner()
    assert run_blocking(running(), runner, other) is other
    release_runner()
    other.call_soon_threadsafe(other.stop)
    thread.join()
    other.close()


def test_a_thread_that_runs_a_loop_must_not_be_blocked() -> None:
    runner = acquire_runner()

    async def blocks() -> None:
        for call in (acquire_runner, lambda: run_blocking(running(), runner, None)):
            with pytest.raises(HubError, match="use TestHub, and await"):
                call()

    run_blocking(blocks(), runner, None)
    release_runner()
