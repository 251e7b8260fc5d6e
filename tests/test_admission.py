"""Admission, with a clock and a workload that the test turns by hand."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.admission import BURST, BUSY, INITIAL_RATE, INTERVAL, MAX_RATE, MIN_RATE, Admission


class World:
    """Time, work, and which connection was admitted when. Each one costs `cost` seconds of work."""

    def __init__(self, cost: float = 0.0) -> None:
        self.cost = cost
        self.time = 100.0
        self.worked = 0.0
        self.admitted: list[int] = []
        self.per_look: list[int] = []
        self._due: tuple[float, Callable[[], None]] | None = None
        self.admission = Admission(self._schedule, lambda: self.time, lambda: self.worked)

    def _schedule(self, seconds: float, call: Callable[[], None]) -> None:
        assert self._due is None  # one look at a time
        self._due = self.time + seconds, call

    def come(self, number: int) -> bool:
        return self.admission.enter(lambda: self._admit(number))

    def _admit(self, number: int) -> None:
        self.admitted.append(number)
        self.worked += self.cost

    def run(self, most: int = 100_000) -> None:
        """Let time pass until there is no line: work takes time, and a look comes late if there was much of it."""
        while self._due is not None and len(self.per_look) < most:
            due, call = self._due
            self._due = None
            before, worked = len(self.admitted), self.worked
            self.time = max(self.time, due)
            call()
            self.time += self.worked - worked
            self.per_look.append(len(self.admitted) - before)


def test_a_few_come_in_at_once() -> None:
    world = World()
    assert all(world.come(number) for number in range(int(BURST)))
    assert not world.come(99)
    assert world.admission.waiting == 1


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.floats(0, 0.01))
@settings(max_examples=100, deadline=None)
def test_everybody_comes_in_once_and_in_order(waves: list[int], cost: float) -> None:
    world, number = World(cost), 0
    for wave in waves:
        for _ in range(wave):
            world.come(number)
            number += 1
        world.run(most=len(world.per_look) + 3)
        world.time += 0.5
    world.run()
    assert world.admitted == list(range(number))
    assert world.admission.waiting == 0
    assert MIN_RATE <= world.admission.rate <= MAX_RATE


def test_the_rate_is_what_the_node_can_bear() -> None:
    for cost in (0.0005, 0.002, 0.005):
        world = World(cost)
        for number in range(5000):
            world.come(number)
        began = world.time
        world.run()
        rate = 5000 / (world.time - began)
        assert 0.5 / cost < rate <= 1 / cost  # the node is at work, and not for longer than it can
        steady = world.per_look[len(world.per_look) // 2 :]
        assert sum(steady) / len(steady) * cost < 2 * BUSY


def test_work_that_others_cause_counts_as_well() -> None:
    world = World()
    for number in range(1000):
        world.come(number)
    for _ in range(20):
        world.worked += 2 * BUSY
        world.run(most=len(world.per_look) + 1)
    assert world.admission.rate == MIN_RATE


def test_a_late_measurement_does_not_admit_all_at_once() -> None:
    world = World()
    for number in range(1000):
        world.come(number)
    world.time += 3600  # the machine slept
    world.run(most=1)
    assert world.per_look[0] <= 3 * INTERVAL * INITIAL_RATE


def test_how_long_it_will_take() -> None:
    world = World()
    assert world.admission.wait == 0
    for number in range(int(BURST) + 500):
        world.come(number)
    assert world.admission.wait == 500 / INITIAL_RATE
    world.run(most=1)
    assert world.admission.rate > INITIAL_RATE
    assert INTERVAL < world.admission.wait < 500 / INITIAL_RATE
