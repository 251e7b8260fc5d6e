"""Commands that wait are weighed, by connection and by user."""

from __future__ import annotations

import pytest

from hubbub.command_queue import MAX_QUEUED_BYTES, CommandQueue
from hubbub.errors import CommandError
from hubbub.messages import Groups, Leave
from hubbub.time_budget import TimeBudget


def fill(waiting: CommandQueue, budget: TimeBudget, size: int = 100_000) -> str:
    def add_many() -> None:
        for _ in range(1000):
            waiting.add(Leave(), size, budget)

    with pytest.raises(CommandError) as caught:
        add_many()
    assert caught.value.code == "RATE_LIMITED"
    return caught.value.message


def test_bytes_of_a_connection_and_of_a_user_are_bounded_and_given_back() -> None:
    budget = TimeBudget("ada", 4 << 20, 0.0)
    ends = [CommandQueue() for _ in range(30)]
    texts = [fill(end, budget) for end in ends]
    assert f"Commands of this connection hold {MAX_QUEUED_BYTES} bytes" in texts[0]
    assert f"Commands of this user's connections hold {4 << 20} bytes" in texts[-1]
    assert budget.bytes <= 4 << 20
    for end in ends:
        end.clear()
    assert budget.bytes == 0


def test_a_cursor_counts_as_the_objects_that_it_became() -> None:
    budget = TimeBudget("ada", 4 << 20, 0.0)
    held = CommandQueue().hold(Groups(start_key={"a": 1}), 1000, budget)
    assert budget.bytes == held.weight > 32_000


def test_one_command_alone_is_never_too_large() -> None:
    CommandQueue().hold(Leave(), 100 << 20, TimeBudget("ada", 4 << 20, 0.0))
