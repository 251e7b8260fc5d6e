"""Work in chunks: all of it is done, never more than a chunk at once."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.backends.valkey.chunks import CHUNK, chunks, run_in_chunks
from hubbub.backends.valkey.connection import WrongTypeError


@pytest.mark.parametrize(("items", "sizes"), [(0, []), (1, [1]), (CHUNK, [CHUNK]), (2 * CHUNK + 1, [CHUNK, CHUNK, 1])])
def test_chunks_hold_everything_in_order(items: int, sizes: list[int]) -> None:
    lists = list(chunks(iter(range(items))))
    assert [len(each) for each in lists] == sizes
    assert [item for each in lists for item in each] == list(range(items))


async def test_a_chunk_runs_at_once_and_no_more_than_that() -> None:
    running, most, done = 0, 0, 0

    async def work() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1

    await run_in_chunks(work() for _ in range(CHUNK + 1))
    assert (most, done) == (CHUNK, CHUNK + 1)


async def test_a_key_of_the_wrong_type_stops_nothing_else() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        if number == 1:
            raise WrongTypeError
        await asyncio.sleep(0)
        done.append(number)

    await run_in_chunks(work(number) for number in range(3))
    assert done == [0, 2]


async def test_any_other_error_is_raised() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_in_chunks([work()])
