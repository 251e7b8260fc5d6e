"""The circuit breaker: when an app counts as away, and how often it is asked then."""

from __future__ import annotations

from hubbub.http_hooks.breaker import FAILURES, LONGEST_PAUSE, Breaker


def broken() -> Breaker:
    breaker = Breaker()
    opened = [breaker.failed(0.0) for _ in range(FAILURES)]
    assert opened == [False] * (FAILURES - 1) + [True]
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker()
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.failed(0.0)
        assert not breaker.succeeded()
    assert breaker.allows(0.0)
    assert not breaker.away
    assert broken().away


def test_one_call_at_a_time_tries_it_after_a_pause() -> None:
    breaker = broken()
    assert not breaker.allows(0.9)
    assert breaker.allows(1.0)
    assert not breaker.allows(1.0)
    assert breaker.succeeded()
    assert breaker.allows(1.0)
    assert breaker.allows(1.0)


def test_the_pause_doubles_up_to_a_limit() -> None:
    breaker, now, pauses = broken(), 0.0, []
    for _ in range(8):
        began = now
        while not breaker.allows(now):
            now += 0.5
        pauses.append(now - began)
        breaker.failed(now)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_calls_that_began_before_do_not_lengthen_the_pause() -> None:
    breaker = broken()
    for _ in range(100):
        assert not breaker.failed(0.5)
    assert breaker.allows(1.0)
    breaker.succeeded()
    breaker.failed(2.0)  # after it was closed, the count begins anew
    assert breaker.allows(2.0)
