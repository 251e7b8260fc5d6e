"""Random changes on one node and on two that share a store: what watchers know is true, at every moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from hubbub.backends.base import Backend
from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.watching import views
from support.live_world import LiveWorld
from support.store import Store

STEPS = 3000


def memory() -> Callable[[], Backend]:
    one = MemoryBackend()
    return lambda: one


@pytest.fixture(params=["memory", "valkey"])
async def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveWorld]:
    monkeypatch.setattr(views, "STEP", 0.002)  # the test looks for changes more often, so it takes less time
    if request.param == "memory":
        made = LiveWorld(memory(), 1, seed=1)
        await made.start()
        yield made
        await made.stop()
        return
    with Store() as store:
        made = LiveWorld(lambda: ValkeyBackend(parse_address(store.url())), 2, seed=2)
        await made.start()
        yield made
        await made.stop()


async def test_watchers_know_the_truth(world: LiveWorld) -> None:
    for number in range(STEPS):
        await world.step()
        if number % 7 == 0:
            world.step_reader()
        if number % 20 == 19:
            await world.settle()
    assert world.events > STEPS / 20
