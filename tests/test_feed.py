"""The follower of the feed: its pieces and cursors, what it does when the store does not answer, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from hubbub import feed
from hubbub.backends.memory import MemoryBackend
from hubbub.errors import CommandError, StoreError
from hubbub.feed import Follower
from hubbub.groups.feed import START, FeedEvent, FeedRead, FeedWindow, Positions, Wanted
from support.feed_mirror import Mirror, until_it_agrees
from support.listener import ADA, BOB


class Faulty:
    """A feed whose readings fail while `away`, as those of a store that does not answer."""

    pause = 0.01

    def __init__(self, backend: MemoryBackend) -> None:
        self.backend = backend
        self.away = False
        self.cut = False

    async def read(self, since: Positions | None, most: int) -> FeedRead:
        if self.away:
            raise StoreError("away")
        return await self.backend.feed.read(since, most)

    async def snapshot(self) -> AsyncIterator[list[FeedEvent]]:
        async for piece in self.backend.feed.snapshot():
            yield piece
            if self.cut:
                self.cut = False
                raise StoreError("away")


async def take(events: AsyncIterator[list[FeedEvent]], last: str) -> list[str]:
    """Return the types of events up to the first one of type `last`."""
    found: list[str] = []
    async with asyncio.timeout(20):
        while last not in found:
            found += [event.type for event in await anext(events)]
    return found


def follow(source: Faulty, since: str | None = None, wanted: Wanted | None = None) -> AsyncIterator[list[FeedEvent]]:
    return Follower(source, since, wanted or Wanted(), lambda: False, time.monotonic).events()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "RETRY", 0.01)


async def test_a_reader_goes_on_when_the_store_answers_again() -> None:
    backend = MemoryBackend()
    source = Faulty(backend)
    events = follow(source)
    assert await take(events, "position") == ["position"]
    source.away = True
    await backend.connect(ADA, 10)
    waiting = asyncio.ensure_future(take(events, "user_online"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    source.away = False
    assert await waiting == ["user_online"]


async def test_a_first_reading_that_fails_is_an_error() -> None:
    source = Faulty(MemoryBackend())
    source.away = True
    with pytest.raises(CommandError):
        await anext(follow(source))


async def test_a_snapshot_that_was_cut_off_begins_again() -> None:
    backend = MemoryBackend()
    await backend.connect(ADA, 10)
    source = Faulty(backend)
    source.cut = True
    found = await take(follow(source, START), "snapshot_end")
    assert found == ["snapshot_begin", "user_online", "snapshot_begin", "user_online", "snapshot_end"]


async def test_a_reader_that_passes_over_events_gets_its_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "ALIVE", 0.05)
    backend = MemoryBackend()
    events = follow(Faulty(backend), wanted=Wanted(users=False))
    (first,) = await anext(events)
    await backend.connect(ADA, 10)
    (second,) = await anext(events)
    assert (first.type, second.type) == ("position", "position")
    (third,) = await anext(events)
    assert third.cursor != first.cursor


async def test_a_reader_past_the_window_gets_a_gap_and_a_snapshot() -> None:
    backend = MemoryBackend(feed_window=FeedWindow(events=16))
    async with Mirror(backend, since=None) as mirror:
        await backend.connect(ADA, 10)
        await backend.connect(BOB, 10)
        for number in range(100):
            await backend.join(ADA, str(number))
        await until_it_agrees(mirror, backend, {"ada", "bob"})
        assert mirror.counts["gap"] == 1
        cursor = mirror.cursor
    async with Mirror(backend, cursor) as mirror:
        assert mirror.counts == {"position": 1}


def test_a_cursor_is_checked_before_anything_is_read() -> None:
    with pytest.raises(CommandError, match='"since" must be'):
        follow(Faulty(MemoryBackend()), "abc")
