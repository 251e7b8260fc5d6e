"""The virtual clock of a loop: it jumps while a test waits for a hub, and passes otherwise."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from hubbub.clock import running_clock
from hubbub.errors import HubError
from hubbub.testing.virtual_time import VirtualTime, virtual_time


async def test_waits_take_no_time_and_end_in_order() -> None:
    clock, ended = virtual_time(), list[float]()
    began = clock.monotonic()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        ended.append(clock.monotonic() - began)

    with clock.jumping():
        await asyncio.gather(*(sleep(seconds) for seconds in (86_400.0, 0.25, 3600.0)))
    assert ended == [0.25, 3600.0, 86_400.0]


async def test_all_clocks_of_the_loop_agree() -> None:
    clock = virtual_time()
    assert virtual_time() is clock
    monotonic, unix_time, _ = running_clock()
    loop, began = asyncio.get_running_loop(), unix_time()
    with clock.jumping():
        await asyncio.sleep(10)
    assert loop.time() == monotonic() == clock.monotonic()
    assert unix_time() - began == 10
    assert began == int(began)


async def test_time_passes_while_a_test_waits_for_something_else() -> None:
    clock = virtual_time()
    began = clock.monotonic()
    await asyncio.sleep(0.02)
    assert clock.monotonic() - began >= 0.019


async def test_time_stands_still_while_code_runs() -> None:
    clock = virtual_time()
    began = clock.monotonic()
    sum(range(1_000_000))
    await asyncio.sleep(0)
    assert clock.monotonic() == began


async def test_settled_means_that_nothing_is_due() -> None:
    clock, loop, left = virtual_time(), asyncio.get_running_loop(), [100]
    began = clock.monotonic()

    def again() -> None:
        left[0] -= 1
        if left[0]:
            loop.call_soon(again)

    again()
    await asyncio.gather(clock.settle(), clock.settle())
    assert (left, clock.monotonic()) == ([0], began)


async def test_a_wait_without_a_timer_ends_from_outside() -> None:
    clock, loop = virtual_time(), asyncio.get_running_loop()
    done = asyncio.Event()
    with clock.jumping():
        loop.call_later(5, done.set)
        await done.wait()
    assert done.is_set()


def test_settling_in_another_loop_returns_at_once() -> None:
    async def make() -> VirtualTime:
        return virtual_time()

    clock = asyncio.run(make())
    asyncio.run(clock.settle())


def test_a_loop_whose_clock_cannot_be_set() -> None:
    async def ask() -> VirtualTime:
        return virtual_time()

    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        pytest.raises(HubError, match=r"uvloop\.Loop.*asyncio's own"),
    ):
        runner.run(ask())


async def test_the_loop_still_adds_and_removes_sockets() -> None:
    virtual_time()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
