"""What an app is told afterwards: in order, kept while it is away, and bounded."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.http_hooks import told as told_module
from hubbub.http_hooks.told import OVERHEAD, Told, ToldEvents


class App:
    """Takes events while it is there.

    Attributes:
        taken: What it was told, in order.
        ids: The message ids of all attempts.
    """

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.taken: list[bytes] = []
        self.ids: list[str] = []
        self.refuses: set[bytes] = set()

    async def send(self, told: Told) -> bool:
        self.ids.append(told.message_id)
        await asyncio.sleep(0)
        if not self.there or told.body in self.refuses:
            return False
        self.taken.append(told.body)
        return True


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(told_module, "LONGEST_PAUSE", 0.05)


async def tell(events: ToldEvents, connection: str, *bodies: bytes) -> None:
    for body in bodies:
        work = events.add(connection, "leave", "ada", body)
        if work is not None:
            await work


async def emptied(events: ToldEvents) -> None:
    async with asyncio.timeout(30):
        while len(events):
            await asyncio.sleep(0.005)


async def test_what_the_app_takes_is_gone_at_once() -> None:
    app = App()
    events = ToldEvents(app.send, lambda: not app.there)
    await tell(events, "a", b"1", b"2")
    assert app.taken == [b"1", b"2"]
    assert (len(events), events.size, events.dropped, events.retried) == (0, 0, 0, 0)


async def test_what_it_does_not_take_is_sent_again_in_order_with_the_same_id() -> None:
    app = App(there=False)
    events = ToldEvents(app.send, lambda: False)
    await tell(events, "a", b"1", b"2", b"3")
    await tell(events, "b", b"4")
    assert (len(events), events.size) == (4, 4 * (1 + OVERHEAD))
    async with asyncio.timeout(30):
        while events.retried < 4:
            await asyncio.sleep(0.005)
    app.there = True
    await emptied(events)
    assert [body for body in app.taken if body != b"4"] == [b"1", b"2", b"3"]
    assert sorted(app.taken) == [b"1", b"2", b"3", b"4"]
    assert len(set(app.ids)) == 4
    assert (events.size, events.dropped) == (0, 0)


async def test_while_the_app_is_away_nothing_is_sent_again() -> None:
    app = App(there=False)
    events = ToldEvents(app.send, lambda: not app.there)
    await tell(events, "a", b"1")
    attempts = len(app.ids)
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert len(app.ids) == attempts
    app.there = True
    await emptied(events)
    assert app.taken == [b"1"]


async def test_an_event_that_is_refused_does_not_hold_up_other_connections() -> None:
    app = App(there=False)
    app.refuses = {b"bad"}
    events = ToldEvents(app.send, lambda: False)
    for number in range(30):
        await tell(events, f"bad{number}", b"bad")
    await tell(events, "good", b"good")
    app.there = True
    async with asyncio.timeout(30):
        while b"good" not in app.taken:
            await asyncio.sleep(0.005)
    assert len(events) == 30
    events.close()


async def test_old_events_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(there=False)
    events = ToldEvents(app.send, lambda: False)
    await tell(events, "a", b"1", b"2")
    monkeypatch.setattr(told_module, "LONGEST", 0.0)
    await emptied(events)
    assert (app.taken, events.dropped, events.size) == ([], 2, 0)


async def test_no_more_bytes_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_module, "MAX_BYTES", 10 * (OVERHEAD + 5))
    app = App(there=False)
    events = ToldEvents(app.send, lambda: True)
    for number in range(50):
        await tell(events, f"c{number}", b"12345")
    assert (len(events), events.dropped, events.size) == (10, 40, 10 * (OVERHEAD + 5))
    events.close()
    assert (len(events), events.dropped, events.size) == (0, 50, 0)


async def test_the_end_while_an_event_is_sent() -> None:
    gate = asyncio.Event()

    async def slow(told: Told) -> bool:
        await gate.wait()
        return True

    events = ToldEvents(slow, lambda: False)
    work = events.add("a", "leave", "ada", b"1")
    assert work is not None
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    events.close()
    gate.set()
    await task
    assert events.size == 0
