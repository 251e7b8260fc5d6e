from __future__ import annotations

import asyncio

from hubbub.client.event_queue import EventQueue
from hubbub.client.events import LOST, Closed, Connected, Event, Other, Problem


def other(number: int) -> Other:
    return Other("n", {"number": number})


async def rest(feed: EventQueue) -> list[Event]:
    """Everything up to the end."""
    found = []
    while event := await feed.get():
        found.append(event)
    return found


async def test_in_order_up_to_the_end() -> None:
    feed = EventQueue(10)
    events = [Connected(), other(1), other(2), Closed(1000)]
    for event in events:
        feed.put(event)
    feed.put(other(3))
    assert await rest(feed) == events
    assert await feed.get() is None


async def test_a_reader_waits() -> None:
    feed = EventQueue(10)
    reading = asyncio.create_task(feed.get())
    await asyncio.sleep(0)
    assert not reading.done()
    feed.put(other(1))
    assert await reading == other(1)


async def test_what_does_not_fit_is_counted_at_its_place() -> None:
    feed = EventQueue(2)
    for number in range(5):
        feed.put(other(number))
    assert await feed.get() == other(0)
    feed.put(other(5))
    feed.put(Closed(1000))
    found = await rest(feed)
    assert found[0] == other(1)
    assert isinstance(found[1], Problem)
    assert (found[1].code, found[1].lost) == (LOST, 3)
    assert found[2:] == [other(5), Closed(1000)]


async def test_a_loss_is_told_even_if_nothing_follows() -> None:
    feed = EventQueue(1)
    feed.put(other(0))
    feed.put(other(1))
    assert await feed.get() == other(0)
    problem = await feed.get()
    assert isinstance(problem, Problem)
    assert problem.lost == 1
