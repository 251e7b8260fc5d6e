"""The timer of one connection. Time passes by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from hubbub.transports.http.time_limits import (
    HEAD_TIMEOUT,
    REQUEST_TIMEOUT,
    RequestPart,
    RequestTimer,
    time_limit,
    too_late,
)


class Timer:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def cancel(self) -> None:
        self.clock.due.remove(self)


class Clock:
    """The part of an event loop that is needed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.due: list[Timer] = []
        self.at: list[float] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        self.at.append(when)
        self.due.append(Timer(self))
        return self.due[-1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def timer(clock: Clock) -> RequestTimer:
    return RequestTimer(cast(asyncio.AbstractEventLoop, clock))


def check() -> None: ...


def test_the_time_counts_from_the_beginning_of_the_request(clock: Clock) -> None:
    watched = timer(clock)
    clock.now += 1
    watched.begin()
    clock.now += 1
    watched.watch(5, check)
    assert clock.at == [1006.0]
    clock.now = 1005.9
    assert not watched.expired(5)
    clock.now = 1006
    assert watched.expired(5)


def test_there_is_one_timer_at_a_time(clock: Clock) -> None:
    watched = timer(clock)
    watched.watch(5, check)
    watched.watch(5, check)
    assert len(clock.due) == 1
    watched.stop()
    watched.stop()
    assert not clock.due
    watched.watch(5, check)
    assert len(clock.due) == 1


def test_after_a_check_the_timer_can_run_again(clock: Clock) -> None:
    watched = timer(clock)
    watched.watch(5, check)
    assert not watched.expired(30)
    watched.watch(30, check)
    assert clock.at == [1005.0, 1030.0]


def test_the_errors_say_what_was_late_and_by_how_much() -> None:
    assert (time_limit(RequestPart.HEAD), time_limit(RequestPart.BODY)) == (HEAD_TIMEOUT, REQUEST_TIMEOUT)
    assert "head of the request" in too_late(RequestPart.HEAD).message
    assert "within 30 seconds" in too_late(RequestPart.BODY).message
    assert too_late(RequestPart.HEAD).status == 408
