"""Kicks, bans and tickets: what every backend does, on every node of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from hubbub.auth.bans import TICKET_LIFE, TicketUse
from hubbub.backends.base import Backend
from hubbub.errors import CommandError
from hubbub.messages import UserRow
from support.listener import ADA, ADA2, BOB, Listener
from support.waiting import PATIENCE


@pytest.fixture
async def second(make: Callable[[], Backend], backend: Backend) -> AsyncIterator[Backend]:
    """Another node of the same backend."""
    other = make()
    if other is not backend:
        other.attach(Listener(other))
        await other.start()
    yield other
    if other is not backend:
        await other.close()


async def refused(backend: Backend, user: UserRow, code: str, ticket: TicketUse | None = None) -> str:
    before = await backend.count()
    with pytest.raises(CommandError, match=code) as error:
        await backend.connect(user, 10, None, ticket)
    assert await backend.count() == before
    return error.value.message


async def test_who_is_kept_out_is_so_on_every_node(backend: Backend, node: Listener, second: Backend) -> None:
    assert await backend.disconnect_user("ada", 600) > 0
    await node.settled()
    assert node.disconnected == [("ada", None)]
    for each in (backend, second):
        text = await refused(each, UserRow("ada", "10"), "FORBIDDEN")
        assert "banned" in text
        assert "600 s" in text or "599 s" in text
    await second.connect(UserRow("eve", "9"), 10)
    await second.disconnect_user("ada", 0)
    await second.connect(UserRow("ada", "10"), 10)


async def test_a_ban_ends_by_itself(backend: Backend) -> None:
    await backend.disconnect_user("ada", 600)
    await backend.disconnect_user("ada", 0.05)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await backend.connect(ADA, 10)
            except CommandError:
                await asyncio.sleep(0.005)
            else:
                return


async def test_a_user_who_is_not_here_can_be_kept_out(backend: Backend) -> None:
    assert await backend.disconnect_user("ada", 600) == 0
    await refused(backend, ADA, "FORBIDDEN")


async def test_a_ticket_is_taken_once(backend: Backend, second: Backend) -> None:
    ticket = TicketUse("t1", 60.0)
    await backend.connect(ADA, 10, None, ticket)
    await refused(second, ADA2, "UNAUTHORIZED", ticket)
    await second.connect(ADA2, 10, None, TicketUse("t2", 60.0))


async def test_a_ticket_is_not_used_up_by_a_refusal(backend: Backend) -> None:
    await backend.connect(ADA, 10)
    ticket = TicketUse("t1", 60.0)
    with pytest.raises(CommandError, match="INVALID_REQUEST"):
        await backend.connect(ADA2, 1, None, ticket)
    await backend.connect(ADA2, 2, None, ticket)


async def test_tickets_are_dead_after_a_kick(backend: Backend, second: Backend) -> None:
    await second.disconnect_user("ada")
    await refused(backend, ADA, "UNAUTHORIZED", TicketUse("t1", TICKET_LIFE))
    await backend.connect(ADA, 10)
    await backend.connect(BOB, 10, None, TicketUse("t2", 60.0))


async def test_there_are_at_most_so_many(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.auth.bans.MAX_BANS", 1)
    monkeypatch.setattr("hubbub.backends.valkey.backend.MAX_BANS", 1)
    await backend.connect(ADA, 10)
    refused: list[str] = []
    for number in range(40):  # in a cluster each shard has its own number
        try:
            await backend.disconnect_user(f"u{number}", 600)
        except CommandError as error:
            refused.append(error.code)
    assert set(refused) == {"INVALID_REQUEST"}
    await backend.disconnect_user("ada", 0)
