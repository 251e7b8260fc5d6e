"""Work on many connections at once: in chunks, so that round trips are shared and the number in flight is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from hubbub.backends.valkey.connection import WrongTypeError

CHUNK = 500
"""Most connections that are handled at the same time."""

T = TypeVar("T")


async def run_in_chunks(work: Iterable[Coroutine[Any, Any, T]]) -> None:
    """Run all of `work`, a chunk at a time. A coroutine that meets a key of the wrong type is skipped."""
    for chunk in chunks(work):
        await asyncio.gather(*(_skip_wrong_type(each) for each in chunk))


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield `items` in lists of at most `CHUNK`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


async def _skip_wrong_type(work: Coroutine[Any, Any, T]) -> None:
    with suppress(WrongTypeError):
        await work
