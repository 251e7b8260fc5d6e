"""Turns: never more than allowed run, everybody gets a turn, and no user's queue makes others wait."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from hubbub.hub.turns import Turns


def start(started: list[str], who: str) -> bool:
    started.append(who)
    return True


def test_users_take_turns() -> None:
    turns, started = Turns(1), list[str]()

    assert turns.take()
    for who in ("greedy", "greedy", "greedy", "modest"):
        assert not turns.take()
        turns.wait(who, partial(start, started, who))
    while turns.waiting:
        turns.done()
    assert started == ["greedy", "modest", "greedy", "greedy"]


def test_connections_without_a_user_get_every_second_place() -> None:
    turns, started = Turns(1), list[str]()
    assert turns.take()
    for number in range(4):
        turns.wait(None, partial(start, started, f"?{number}"))
    for who in ("a", "a", "b"):
        turns.wait(who, partial(start, started, who))
    while turns.waiting:
        turns.done()
    assert started == ["a", "?0", "b", "?1", "a", "?2", "?3"]


def test_those_that_have_given_up_are_passed_over() -> None:
    turns, started = Turns(1), list[str]()
    assert turns.take()
    turns.wait("a", lambda: False)
    turns.wait("b", partial(start, started, "b"))
    turns.done()
    assert (started, turns.running, turns.waiting) == (["b"], 1, 0)
    turns.done()
    assert (turns.running, turns.waiting) == (0, 0)


@given(st.integers(1, 3), st.lists(st.sampled_from(["a", "b", None, "done", "give up"]), max_size=60))
def test_the_number_that_run_is_kept(most: int, steps: list[str | None]) -> None:
    turns = Turns(most)
    running = waiting = 0
    order: list[str] = []
    for step in steps:
        if step == "done":
            if running:
                turns.done()
                running -= 1
        elif step == "give up":
            if not turns.take():
                turns.wait("x", lambda: False)
                waiting += 1
            else:
                running += 1
        elif turns.take():
            running += 1
        else:
            turns.wait(step, partial(start, order, step or "?"))
        assert turns.running <= most
        running = turns.running
    while turns.running:
        turns.done()
    assert turns.waiting == 0
    assert len(order) <= len(steps)
