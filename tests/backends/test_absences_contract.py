"""What a backend promises about connections that are sent away and come back, checked for every backend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hubbub.backends.base import Backend
from hubbub.groups.roster import parse_user_query
from hubbub.messages import UserRow, Users
from support.listener import ADA, ADA2, BOB, EVE, Listener
from support.waiting import PATIENCE

AGAIN = UserRow("ada", "9")
"""Ada's connection after she has come back."""


async def notices_of(node: Listener) -> list[tuple[str, str, str, int]]:
    """Wait until there is a notice, and return all there are."""
    async with asyncio.timeout(PATIENCE):
        while not node.group_events:
            await node.settled()
            await asyncio.sleep(0)  # a backend that never waits would keep its own timers from running
    return await node.notices()


async def together(backend: Backend, node: Listener, *rows: UserRow) -> None:
    """Put all into one group, and drop the notices about it."""
    for row in rows:
        await backend.join(row, "g")
    await node.notices()


async def test_a_client_that_is_sent_off_and_returns_is_announced_neither_time(
    backend: Backend, node: Listener
) -> None:
    await together(backend, node, ADA, BOB)
    await backend.send_off([ADA])
    await backend.remove_connection(ADA)
    await backend.connect(AGAIN, 10)
    await backend.join(AGAIN, "g")
    await backend.join(EVE, "g")
    assert await node.notices() == [("g", "USER_JOINED", "4", 1)]
    await backend.remove_connection(AGAIN)  # what follows is announced again, at once
    assert await node.notices() == [("g", "USER_DISCONNECTED", "9", 0)]


async def test_a_client_that_reconnects_before_it_left_is_not_announced_either(
    backend: Backend, node: Listener
) -> None:
    await together(backend, node, ADA, BOB)
    await backend.send_off([ADA])
    await backend.connect(AGAIN, 10)
    await backend.join(AGAIN, "g")
    await backend.remove_connection(ADA)
    await backend.remove_connection(BOB)
    assert await node.notices() == [("g", "USER_DISCONNECTED", "3", 0)]


async def test_who_stays_away_has_gone(backend: Backend, node: Listener) -> None:
    await together(backend, node, ADA, BOB)
    await backend.send_off([ADA])
    await backend.remove_connection(ADA)
    assert await node.notices() == []
    assert await notices_of(node) == [("g", "USER_DISCONNECTED", "1", 0)]
    await backend.connect(AGAIN, 10)
    await backend.join(AGAIN, "g")
    assert await node.notices() == [("g", "USER_JOINED", "9", 1)]


async def test_one_return_makes_up_for_one_absence(backend: Backend, node: Listener) -> None:
    await together(backend, node, ADA, ADA2, BOB)
    await backend.send_off([ADA, ADA2])
    await backend.remove_connection(ADA)
    await backend.remove_connection(ADA2)
    await backend.connect(AGAIN, 10)
    await backend.join(AGAIN, "g")
    (notice,) = await notices_of(node)
    assert (notice[1], notice[3]) == ("USER_DISCONNECTED", 1)
    await backend.connect(ADA, 10)
    await backend.join(ADA, "g")
    assert await node.notices() == [("g", "USER_JOINED", "1", 2)]


async def test_only_the_group_that_was_left_takes_a_return_for_one(backend: Backend, node: Listener) -> None:
    await together(backend, node, ADA, BOB)
    await backend.join(EVE, "other")
    await node.notices()
    await backend.send_off([ADA])
    await backend.remove_connection(ADA)
    await backend.connect(AGAIN, 10)
    await backend.join(AGAIN, "other")
    assert await node.notices() == [("other", "USER_JOINED", "9", 1)]
    assert await notices_of(node) == [("g", "USER_DISCONNECTED", "1", 0)]


async def test_who_leaves_by_itself_is_not_absent(backend: Backend, node: Listener) -> None:
    await together(backend, node, ADA, ADA2, BOB)
    await backend.send_off([ADA, ADA2, EVE])  # one leaves, one moves on, and one is nowhere
    await backend.leave(ADA)
    await backend.join(ADA2, "other")
    notices = await node.notices()
    assert notices == [("g", "USER_LEFT", "1", 1), ("g", "USER_LEFT", "2", 0), ("other", "USER_JOINED", "2", 1)]
    await backend.remove_connection(ADA)
    await backend.connect(AGAIN, 10)
    await backend.join(AGAIN, "g")
    assert await node.notices() == [("g", "USER_JOINED", "9", 1)]


async def test_members_sent_off_by_a_node_that_stops_are_not_announced(
    make: Callable[[], Backend], backend: Backend, node: Listener
) -> None:
    other = make()
    if other is backend:
        return  # its nodes share the object itself, and end with it
    await other.start()
    await other.connect(AGAIN, 10)
    await other.join(AGAIN, "g")
    await together(backend, node, BOB)
    await other.send_off([AGAIN])
    await other.close()
    assert [row.user_id for row in (await backend.users("g", parse_user_query(Users(), 9))).list] == ["bob"]
    assert await node.notices() == []
    assert await notices_of(node) == [("g", "USER_DISCONNECTED", "9", 0)]


async def test_counts_contain_the_current_members(backend: Backend, node: Listener) -> None:
    await together(backend, node, ADA, BOB)
    await backend.send_off([ADA, BOB])
    assert await backend.count() == (1, 4)
    await backend.remove_connection(ADA)
    assert await backend.count() == (1, 3)
    await backend.remove_connection(BOB)
    assert await backend.count() == (0, 2)


async def test_the_secret_of_all_nodes(make: Callable[[], Backend], backend: Backend) -> None:
    other = make()
    await other.start()
    secret = await backend.shared_secret()
    assert await other.shared_secret() == secret == await backend.shared_secret()
    assert secret is None or len(secret) == 32
    if other is not backend:
        assert secret is not None
        await other.close()
