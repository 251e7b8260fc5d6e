from __future__ import annotations

import asyncio

from hubbub.client.event_queue import EventQueue
from hubbub.client.events import LOST, Closed, Connected, Event, Other, Problem


def other(number: int) -> Other:
    return Other("n", {"number": number})


async def rest(queue: EventQueue) -> list[Event]:
    """Return the events up to the end."""
    found = []
    while event := await queue.get():
        found.append(event)
    return found


async def test_events_keep_their_order_up_to_the_end() -> None:
    queue = EventQueue(10)
    events: list[Event] = [Connected(), other(1), other(2), Closed(1000)]
    for event in events:
        queue.put(event)
    queue.put(other(3))
    assert await rest(queue) == events
    assert await queue.get() is None


async def test_get_waits_for_an_event() -> None:
    queue = EventQueue(10)
    reading = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not reading.done()
    queue.put(other(1))
    assert await reading == other(1)


async def test_dropped_events_are_counted_where_they_are_missing() -> None:
    queue = EventQueue(2)
    for number in range(5):
        queue.put(other(number))
    assert await queue.get() == other(0)
    queue.put(other(5))
    queue.put(Closed(1000))
    found = await rest(queue)
    assert found[0] == other(1)
    assert isinstance(found[1], Problem)
    assert (found[1].code, found[1].lost) == (LOST, 3)
    assert found[2:] == [other(5), Closed(1000)]


async def test_dropped_events_are_reported_even_if_nothing_follows() -> None:
    queue = EventQueue(1)
    queue.put(other(0))
    queue.put(other(1))
    assert await queue.get() == other(0)
    problem = await queue.get()
    assert isinstance(problem, Problem)
    assert problem.lost == 1
