"""HTTP clients that do not read their answers: who is cut, and when. Time passes by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from hubbub.transports.http import unread_answers
from hubbub.transports.http.unread_answers import READ_TIMEOUT, UnreadAnswers
from hubbub.transports.websocket.backlog import LOOK, STALLED_AFTER


class Timer:
    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The part of an event loop that is needed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        self.timers.append(Timer(self.now + delay, call))
        return self.timers[-1]

    @property
    def running(self) -> int:
        return sum(not timer.cancelled for timer in self.timers)

    def step(self) -> None:
        """Go on to the next timer, and run it."""
        timer = self.timers.pop(0)
        if not timer.cancelled:
            self.now = timer.due
            timer.call()


class Client:
    """A transport whose other side reads when the test says so."""

    def __init__(self, unread: int) -> None:
        self.unread = unread
        self.cut = False

    def get_write_buffer_size(self) -> int:
        return self.unread


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    def cut(client: Client) -> None:
        client.cut = True

    monkeypatch.setattr(unread_answers, "reset", cut)
    return Clock()


def watch(client: Client, clock: Clock) -> UnreadAnswers:
    watch = UnreadAnswers(cast(asyncio.Transport, client), cast(asyncio.AbstractEventLoop, clock))
    watch.watch()
    assert watch.watching
    return watch


def run(client: Client, clock: Clock, read: Callable[[], int], seconds: float = 2 * READ_TIMEOUT) -> float:
    """Let the client read that many bytes at each step; return after how many seconds it was cut, or `seconds`."""
    began = clock.now
    while not client.cut and clock.now - began < seconds:
        client.unread = max(0, client.unread - read())
        clock.step()
    return clock.now - began


def test_a_client_that_reads_nothing_is_cut(clock: Clock) -> None:
    client = Client(100_000)
    watch(client, clock)
    assert STALLED_AFTER <= run(client, clock, lambda: 0) <= STALLED_AFTER + LOOK
    assert clock.running == 0


def test_a_client_that_reads_a_byte_now_and_then_is_cut_later(clock: Clock) -> None:
    client = Client(100_000)
    watch(client, clock)
    assert READ_TIMEOUT <= run(client, clock, lambda: 1) <= READ_TIMEOUT + LOOK
    assert client.cut


def test_a_client_that_reads_everything_is_not_cut(clock: Clock) -> None:
    client = Client(100_000)
    watch(client, clock)
    run(client, clock, lambda: 10_000)
    assert (client.cut, client.unread) == (False, 0)


def test_a_stopped_watch_cuts_nobody_and_leaves_no_timer(clock: Clock) -> None:
    client = Client(100_000)
    watching = watch(client, clock)
    watching.stop()
    assert (watching.watching, clock.running) == (False, 0)
    watching.stop()  # again changes nothing


def test_watching_twice_is_watching_once(clock: Clock) -> None:
    client = Client(100_000)
    watching = watch(client, clock)
    clock.now += STALLED_AFTER / 2
    watching.watch()
    assert clock.running == 1
    assert run(client, clock, lambda: 0) <= STALLED_AFTER


def test_the_next_unread_answer_has_its_own_time(clock: Clock) -> None:
    client = Client(100_000)
    watching = watch(client, clock)
    clock.step()
    watching.stop()
    clock.timers.clear()
    clock.now += 2 * READ_TIMEOUT
    watching.watch()
    assert STALLED_AFTER <= run(client, clock, lambda: 0) <= STALLED_AFTER + LOOK
