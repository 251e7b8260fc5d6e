"""Budgets of users: nobody has more than a slice of a turn, and everybody who waits comes in turn."""

from __future__ import annotations

from collections.abc import Callable

from hubbub.time_budget import SLICE, TURN, TimeBudgets


class Loop:
    """A clock that stands still within a turn, and callbacks."""

    def __init__(self) -> None:
        self.time = self.cached = 0.0
        self.callbacks: list[Callable[[], None]] = []
        self.budgets = TimeBudgets(lambda _, call: self.callbacks.append(call), lambda: self.cached, lambda: self.time)

    def turn(self) -> None:
        self.time += 0.001
        self.cached = self.time
        callbacks, self.callbacks = self.callbacks, []
        for call in callbacks:
            call()


def test_a_user_has_a_slice_of_each_turn_and_others_come_between() -> None:
    loop = Loop()
    done = {"ada": 0, "bob": 0}

    def worker(name: str) -> Callable[[], None]:
        budget = loop.budgets.enter(name)

        def work() -> None:
            while budget.left > 0 or loop.budgets.allows(budget):
                loop.time += 0.0005
                budget.left -= 0.0005
                done[name] += 1
            loop.budgets.wait(budget, work)

        return work

    for work in [worker("ada") for _ in range(100)] + [worker("bob")]:
        work()
    for _ in range(50):
        before, began = done.copy(), loop.time
        loop.turn()
        assert loop.time - began <= 0.001 + TURN + SLICE + 0.001
        assert sum(done.values()) > sum(before.values())
    assert abs(done["ada"] - done["bob"]) <= 10  # a hundred connections have no more than one


def test_a_budget_goes_with_the_last_connection() -> None:
    budgets = Loop().budgets
    first, second = budgets.enter("ada"), budgets.enter("ada")
    assert first is second
    budgets.leave(first)
    budgets.leave(second)
    assert len(budgets) == 0
