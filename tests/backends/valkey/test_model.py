"""Random joins, leaves, disconnects, cuts and dead nodes on three nodes, compared with a dictionary of what is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.store import Store
from support.store_model import World

STEPS = 3000


@pytest.fixture(params=[1, 2])
async def world(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[World]:
    made = World(store, request.param)
    for _ in range(3):
        await made.node()
    yield made
    for node in made.nodes:
        await node.close()


async def test_every_node_lists_the_truth_at_every_moment(world: World) -> None:
    for n in range(STEPS):
        await world.step()
        if n % 50 == 0:
            for node in world.nodes:
                assert await world.agrees(node)


async def test_cuts_and_dead_nodes_are_corrected(world: World) -> None:
    for n in range(STEPS):
        await world.step_anyhow()
        if n % 100 == 50:
            await world.cut()
        if n % 1000 == 500:
            await world.kill()
    await world.settled()
    for node in world.nodes:
        await node.close()
    world.nodes.clear()
    while await world.store.run("EXISTS", "hubbub:{0.0}:names", "hubbub:{0.0}:w", "hubbub:{0.0}:sizes"):
        await asyncio.sleep(0.05)
