"""The time limit of hooks: who is cancelled, in which order, and who is not."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from hubbub.hub.deadlines import Deadlines
from support.waiting import PATIENCE


def begin(deadlines: Deadlines) -> asyncio.Task[Any]:
    task = cast(asyncio.Task[Any], asyncio.current_task())
    deadlines.begin(task, time.monotonic())
    return task


async def waits(deadlines: Deadlines) -> bool:
    """Wait for what never comes; return whether the limit ended that."""
    task = begin(deadlines)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return deadlines.end(task) and not task.cancelling()
    return False


async def test_those_that_take_too_long_are_cancelled() -> None:
    deadlines = Deadlines(0.02)
    began = time.monotonic()
    assert await asyncio.gather(*(waits(deadlines) for _ in range(3))) == [True] * 3
    assert 0.015 < time.monotonic() - began < 2
    assert await waits(deadlines)  # the timer starts again


async def test_those_that_end_in_time_are_not() -> None:
    deadlines = Deadlines(0.02)
    slow = asyncio.create_task(waits(deadlines))
    for _ in range(10):
        task = begin(deadlines)
        await asyncio.sleep(0.005)
        assert not deadlines.end(task)
    assert await slow
    assert deadlines._until == {}
    async with asyncio.timeout(PATIENCE):
        while deadlines._timer is not None:  # nobody is watched, so it is not set again
            await asyncio.sleep(0.001)


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    deadlines = Deadlines(60)
    task = asyncio.create_task(waits(deadlines))
    await asyncio.sleep(0)
    task.cancel()
    assert await task is False
    with pytest.raises(KeyError):
        deadlines._until[task]
