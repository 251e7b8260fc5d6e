"""When views are evaluated, and what their watchers are sent: on a clock that the test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from hubbub.backends.memory import MemoryBackend
from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode
from hubbub.groups.view_query import NamedGroups, ViewPage, ViewQuery, parse_watch
from hubbub.messages import UserRow, Watch
from hubbub.session import run_now
from hubbub.settings import Settings
from hubbub.watching import views as views_module
from hubbub.watching.view import NOT_STARTED, Frames, View, ViewKey
from hubbub.watching.views import Views

NAMES = itertools.count(1)


class Backend(MemoryBackend):
    """Counts evaluations, each of which takes `cost` seconds, and can fail or say that changes may have been missed."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[ViewQuery] = []
        self.cost = 0.0
        self.away = False
        self.missed = 0

    @property
    def restarts(self) -> int:  # type: ignore[override]
        return self.missed

    async def view(self, query: ViewQuery, visible: Callable[[str], bool] | None = None) -> ViewPage:
        self.asked.append(query)
        if self.away:
            raise CommandError(ErrorCode.UNAVAILABLE, "away")
        return await super().view(query, visible)


class Host:
    """A node whose time stands still until `run`."""

    def __init__(self, **options: Any) -> None:
        self.settings = Settings(**options)
        self.backend = Backend()
        self.counters = Counters()
        self.time = 0.0
        self.working = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self.time

    def clock(self) -> float:
        return len(self.backend.asked) * self.backend.cost

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.time + seconds, next(self._numbers), callback))

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        return asyncio.ensure_future(work)

    def run(self, seconds: float) -> None:
        ends = self.time + seconds
        while self._timers and self._timers[0][0] <= ends:
            self.time, _, callback = heapq.heappop(self._timers)
            callback()
        self.time = ends

    async def join(self, group: str, user: str = "ada") -> UserRow:
        row = UserRow(user, f"c{next(NAMES)}")
        await self.backend.connect(row, 1000)
        await self.backend.join(row, group)
        return row


class Watcher:
    """A watcher that keeps what it is sent."""

    def __init__(self) -> None:
        self.number, self.seen, self.behind = 1, NOT_STARTED, False
        self.view: View | None = None
        self.slow = False
        self.sent: list[dict[str, Any]] = []

    def send(self, frames: Frames) -> bool:
        if self.slow:
            return False
        event = frames.event
        self.sent.append({name: getattr(event, name) for name in ("set", "gone", "list", "count")})
        return True

    def end(self, error: CommandError) -> None:
        raise AssertionError(error)


def make_views(host: Host) -> Views:
    return Views(cast(views_module.Host, host), host.clock)


def key(every: float = 0.1, rights: tuple[str, ...] | None = None, **fields: Any) -> ViewKey:
    return ViewKey(parse_watch(Watch("groups", **fields), 100, 20, lambda cursor, order: cursor), every, rights)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def views(host: Host) -> Views:
    return make_views(host)


async def test_equal_views_are_evaluated_once(host: Host, views: Views) -> None:
    watchers = [Watcher() for _ in range(5)]
    for watcher in watchers:
        await views.open(key(), watcher)
    assert len(host.backend.asked) == 1
    await host.join("g")
    host.run(0.2)
    assert len(host.backend.asked) == 2
    assert all(len(watcher.sent) == 1 for watcher in watchers)
    assert (len(views), views.watches) == (1, 5)


async def test_without_a_change_nothing_is_evaluated(host: Host, views: Views) -> None:
    await views.open(key(), Watcher())
    host.run(10)
    assert len(host.backend.asked) == 1


async def test_a_view_is_evaluated_no_more_often_than_it_says(host: Host, views: Views) -> None:
    watcher = Watcher()
    await views.open(key(every=0.5), watcher)
    for _ in range(115):
        await host.join(f"g{next(NAMES)}")
        host.run(0.02)
    assert len(watcher.sent) == 4


async def test_changes_that_cancel_out_send_nothing(host: Host, views: Views) -> None:
    watcher = Watcher()
    await views.open(key(every=0.5), watcher)
    row = await host.join("g")
    host.run(0.01)
    await host.backend.leave(row)
    host.run(2)
    assert watcher.sent == []


async def test_a_slow_watcher_gets_the_whole_page_later_and_nothing_before(host: Host, views: Views) -> None:
    watcher = Watcher()
    await views.open(key(), watcher)
    watcher.slow = True
    for name in "abc":
        await host.join(name)
        host.run(0.3)
    assert watcher.sent == []
    watcher.slow = False
    host.run(0.1)
    (event,) = watcher.sent
    assert [row.group for row in event["list"]] == ["a", "b", "c"]
    assert host.counters.views_skipped == 1
    await host.join("d")
    host.run(0.3)
    assert [row.group for row in watcher.sent[1]["set"]] == ["d"]


async def test_many_watchers_are_written_to_over_several_turns(host: Host, views: Views, monkeypatch: Any) -> None:
    monkeypatch.setattr(views_module, "CHUNK", 10)
    watchers = [Watcher() for _ in range(35)]
    for watcher in watchers:
        await views.open(key(), watcher)
    await host.join("g")
    turns: list[int] = []
    later = host.later

    def count(seconds: float, callback: Callable[[], None]) -> None:
        turns.append(sum(len(watcher.sent) for watcher in watchers))
        later(seconds, callback)

    host.later = count  # type: ignore[method-assign]
    host.run(0.2)
    assert [each for each in turns if 0 < each < 35 and turns.count(each) == 1] == [10, 20, 30]
    assert all(len(watcher.sent) == 1 for watcher in watchers)


async def test_a_watcher_that_comes_while_others_are_written_to_has_the_new_page(
    host: Host, views: Views, monkeypatch: Any
) -> None:
    monkeypatch.setattr(views_module, "CHUNK", 1)
    early = [Watcher(), Watcher()]
    for watcher in early:
        await views.open(key(), watcher)
    await host.join("g")
    host.later(0.1001, lambda: None)
    while not any(watcher.sent for watcher in early):
        host.run(0.001)
    late = Watcher()
    page = await views.open(key(), late)
    assert [row.group for row in page.rows] == ["g"]  # type: ignore[union-attr]
    host.run(0.2)
    assert late.sent == []
    assert [len(watcher.sent) for watcher in early] == [1, 1]


async def test_beyond_the_budget_views_wait_and_all_have_their_turn() -> None:
    host = Host(view_cpu=0.1)
    host.backend.cost = 0.01
    views = make_views(host)
    watchers = [Watcher() for _ in range(20)]
    for number, watcher in enumerate(watchers):
        await views.open(key(value=f"g{number}", condition="!="), watcher)
    host.run(10)
    began = len(host.backend.asked)
    for _ in range(1000):
        await host.join(f"x{next(NAMES)}")
        host.run(0.02)
    assert len(host.backend.asked) - began == pytest.approx(20 * 0.1 / 0.01, rel=0.1)
    counts = [len(watcher.sent) for watcher in watchers]
    assert max(counts) - min(counts) <= 1
    assert host.counters.views_put_off > 0


async def test_a_failed_view_is_tried_again_and_then_sends_the_whole_page(host: Host, views: Views) -> None:
    watcher = Watcher()
    await views.open(key(), watcher)
    host.backend.away = True
    await host.join("g")
    host.run(3)
    assert watcher.sent == []
    host.backend.away = False
    host.run(1)
    (event,) = watcher.sent
    assert [row.group for row in event["list"]] == ["g"]


async def test_after_an_interruption_the_whole_page_is_sent_even_if_it_is_the_same(host: Host, views: Views) -> None:
    watcher = Watcher()
    await views.open(key(), watcher)
    host.backend.missed += 1
    host.run(1)
    assert [event["list"] for event in watcher.sent] == [[]]


async def test_a_view_that_cannot_be_opened_leaves_nothing_behind(host: Host, views: Views) -> None:
    host.backend.away = True
    watcher = Watcher()
    with pytest.raises(CommandError):
        await views.open(key(), watcher)
    assert (len(views), views.watches, views.bytes, watcher.view) == (0, 0, 0, None)


async def test_a_watcher_that_moves_gets_the_whole_page_of_the_other_view(host: Host, views: Views) -> None:
    await host.join("a-1")
    await host.join("b-1")
    watcher = Watcher()
    await views.open(key(), watcher)
    views.move(watcher, key(rights=("b-*",)))
    host.run(0.2)
    (event,) = watcher.sent
    assert ([row.group for row in event["list"]], event["count"]) == (["b-1"], None)
    assert len(views) == 1


async def test_the_number_of_views_is_limited() -> None:
    host = Host(max_views=2)
    views = make_views(host)
    for value in ("a", "b"):
        await views.open(key(value=value), Watcher())
    with pytest.raises(CommandError, match="max_views") as refused:
        await views.open(key(value="c"), Watcher())
    assert refused.value.code == "UNAVAILABLE"
    await views.open(key(value="a"), Watcher())


async def test_the_bytes_of_views_are_limited_and_given_back() -> None:
    host = Host(max_view_bytes=200_000)
    views = make_views(host)
    first = Watcher()
    await views.open(key(limit=100), first)
    assert 100 * 1024 < views.bytes < 200_000
    with pytest.raises(CommandError, match="max_view_bytes"):
        await views.open(key(limit=99), Watcher())
    views.leave(first)
    assert views.bytes == 0
    await views.open(ViewKey(NamedGroups(("a",)), 0.1, None), Watcher())
    assert 300 <= views.bytes < 1000


async def test_the_steps_end_with_the_last_view_and_begin_again(host: Host, views: Views) -> None:
    watcher = Watcher()
    await views.open(key(), watcher)
    views.leave(watcher)
    views.leave(watcher)
    host.run(1)
    assert not host._timers
    await views.open(key(), watcher)
    assert len(host._timers) == 1
    await host.join("g")
    views.close()
    host.run(1)
    assert watcher.sent == []
    assert not host._timers


class Waiting(Backend):
    """A backend behind a network: each view waits for the gate."""

    immediate = False

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def view(self, query: ViewQuery, visible: Callable[[str], bool] | None = None) -> ViewPage:
        page = await super().view(query, visible)
        await self.gate.wait()
        return page


async def test_many_who_open_a_view_at_once_wait_for_one_evaluation() -> None:
    host = Host()
    host.backend = backend = Waiting()
    views = make_views(host)
    opening = [asyncio.ensure_future(views.open(key(), Watcher())) for _ in range(20)]
    await asyncio.sleep(0)
    host.run(1)
    backend.gate.set()
    assert all(page.rows == [] for page in await asyncio.gather(*opening))
    assert len(backend.asked) == 1


async def test_no_more_views_are_asked_for_at_a_time_than_allowed(monkeypatch: Any) -> None:
    monkeypatch.setattr(views_module, "IN_FLIGHT", 3)
    host = Host()
    host.backend = backend = Waiting()
    backend.gate.set()
    views = make_views(host)
    watchers = [Watcher() for _ in range(10)]
    for number, watcher in enumerate(watchers):
        await views.open(key(value=f"g{number}", condition="!="), watcher)
    backend.gate.clear()
    await host.join("x")
    host.run(0.2)
    await asyncio.sleep(0)
    assert len(backend.asked) == 13
    backend.gate.set()
    while not all(watcher.sent for watcher in watchers):
        await asyncio.sleep(0)
        host.run(0.01)
    assert len(backend.asked) == 20


def test_a_backend_that_never_waits_opens_a_view_at_once(host: Host, views: Views) -> None:
    assert run_now(views.open(key(), Watcher())).rows == []
