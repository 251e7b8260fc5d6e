"""The garbage collector runs rarely, and leaves the objects of the start alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from hubbub.cli.process.gc_policy import THRESHOLDS, collect_rarely


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_collections_are_rare_and_still_happen() -> None:
    collect_rarely()
    assert gc.get_threshold()[:2] == THRESHOLDS[:2]
    assert gc.isenabled()


def test_objects_of_the_start_are_exempt_and_garbage_is_not_kept() -> None:
    class Knot:
        ends = 0

        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            Knot.ends += 1

    Knot()
    kept = Knot()
    collect_rarely()
    assert Knot.ends == 1  # collected first
    assert gc.get_freeze_count() > 0
    assert not any(each is kept for each in gc.get_objects())
