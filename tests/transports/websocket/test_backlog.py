"""How much may wait for a slow connection, and for how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.transports.websocket.backlog import STALLED_AFTER, Backlog


class Pipe:
    """A queue of which the other side takes bytes."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def take(self, size: int) -> None:
        self.waiting = max(0, self.waiting - size)


@given(
    most=st.integers(10, 100),
    steps=st.lists(st.tuples(st.sampled_from(["write", "take"]), st.integers(0, 60)), max_size=30),
)
def test_never_more_than_the_most(most: int, steps: list[tuple[str, int]]) -> None:
    pipe = Pipe(10)
    backlog = Backlog(pipe, most, 0)
    for what, size in steps:
        if what == "take":
            pipe.take(size)
            continue
        fits = pipe.waiting + size <= most
        assert backlog.admit(size) == fits
        if fits:
            pipe.waiting += size
        assert not backlog.overfull


def test_too_much_at_once() -> None:
    assert Backlog(Pipe(101), 100, 0).overfull
    assert not Backlog(Pipe(100), 100, 0).overfull


def test_stalled_is_who_takes_nothing_at_all() -> None:
    pipe = Pipe(50)
    backlog = Backlog(pipe, 1000, 100)
    assert not backlog.stalled(100 + STALLED_AFTER - 0.1)
    pipe.take(1)
    assert not backlog.stalled(100 + STALLED_AFTER)
    assert not backlog.stalled(100 + 2 * STALLED_AFTER - 0.1)
    assert backlog.stalled(100 + 2 * STALLED_AFTER)


def test_what_comes_in_does_not_pass_for_progress() -> None:
    pipe = Pipe(50)
    backlog = Backlog(pipe, 1000, 0)
    for second in range(5):
        assert backlog.admit(10)
        pipe.waiting += 10
        assert backlog.stalled(second) == (second >= STALLED_AFTER)
    assert backlog.stalled(STALLED_AFTER)


def test_progress_counts_even_if_more_comes_in() -> None:
    pipe = Pipe(50)
    backlog = Backlog(pipe, 1000, 0)
    for second in range(20):
        assert backlog.admit(30)
        pipe.waiting += 30
        pipe.take(5)
        assert not backlog.stalled(second)
