"""Live queries of a program that runs a hub: changes, errors, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hubbub.client import Change
from hubbub.errors import CommandError, HubError
from hubbub.hub.hub import Hub
from hubbub.messages import GroupRow, UserRow
from support.waiting import PATIENCE


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """A hub that runs without an app."""
    made = Hub(guests=True)
    await made.get()
    yield made
    await made._lifecycle.stop()


async def join(hub: Hub, user: str, group: str) -> UserRow:
    """Let a connection join, without a client."""
    backend, row = (await hub._lifecycle.node()).backend, UserRow(user, f"{user}1")
    await backend.connect(row, 10)
    await backend.join(row, group)
    return row


async def test_groups_and_what_changes(hub: Hub) -> None:
    async with hub.watch_groups("number_of_users", 1, ">=", ascending=False, every=0.1) as lobby:
        changes = lobby.__aiter__()
        assert await anext(changes) == Change([], 0, [], [])
        await join(hub, "ada", "g")
        row = GroupRow("g", 1, 1)
        async with asyncio.timeout(PATIENCE):
            assert await anext(changes) == Change([row], 1, [row], [])
        assert lobby.list == [row]
    assert (await hub._lifecycle.node()).views.watches == 0


async def test_users_and_named_groups(hub: Hub) -> None:
    row = await join(hub, "ada", "g")
    async with hub.watch_users("g") as users, hub.watch_groups(groups=["h", "g"]) as groups:
        assert (users.list, users.count) == ([row], 1)
        assert groups.list == [GroupRow("g", 1, 1), GroupRow("h", 0, 0)]


async def test_a_wrong_query_is_refused(hub: Hub) -> None:
    with pytest.raises(CommandError, match='"limit"'):
        await hub.watch_groups(limit=0).__aenter__()
    with pytest.raises(TypeError, match="group must be text"):
        hub.watch_users(7)  # type: ignore[arg-type]
    assert (await hub._lifecycle.node()).views.watches == 0


async def test_when_the_hub_stops_the_iteration_ends_with_an_error() -> None:
    hub = Hub(guests=True)
    async with hub.watch_groups() as lobby:
        await hub._lifecycle.stop()
        changes = lobby.__aiter__()
        await anext(changes)
        with pytest.raises(HubError, match="stopped"):
            await asyncio.wait_for(anext(changes), PATIENCE)
