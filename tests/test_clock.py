"""Which clock is read: the system's, unless the event loop has one of its own."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from hubbub.auth.identity import Identity
from hubbub.clock import SYSTEM, Clock, replace_clock, running_clock
from hubbub.server import Server
from hubbub.settings import Settings


async def test_a_loop_with_a_clock_of_its_own() -> None:
    assert running_clock() is SYSTEM
    own = Clock(lambda: 5.0, lambda: 1000.0)
    replace_clock(asyncio.get_running_loop(), own)
    assert running_clock() is own


def test_other_loops_keep_the_clock_of_the_system() -> None:
    async def read() -> Clock:
        return running_clock()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(read()) is SYSTEM
    with pytest.raises(RuntimeError):
        running_clock()


async def test_a_server_takes_its_clock_from_the_loop() -> None:
    now = 1000.0
    replace_clock(asyncio.get_running_loop(), Clock(lambda: 5.0, lambda: now))
    async with Server(Settings(port=0, secret="s" * 32)) as server:
        assert server.node.auth.seconds_left(Identity("ada", expires=now + 7)) == 7
