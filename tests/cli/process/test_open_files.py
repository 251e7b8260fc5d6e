"""The limit of open files is raised as far as the system allows, and never lowered."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator

import pytest

from hubbub.cli.process.open_files import allow_open_files

FILES = resource.RLIMIT_NOFILE


@pytest.fixture(autouse=True)
def soft_limit() -> Iterator[tuple[int, int]]:
    """A soft limit of 200, which every process may raise again; afterwards the limits are as before."""
    before = resource.getrlimit(FILES)
    resource.setrlimit(FILES, (200, before[1]))
    yield 200, before[1]
    resource.setrlimit(FILES, before)


def test_the_limit_is_raised_to_what_is_wanted() -> None:
    assert allow_open_files(250) == 250
    assert resource.getrlimit(FILES)[0] == 250


def test_the_limit_is_never_lowered() -> None:
    assert allow_open_files(100) == 200
    assert resource.getrlimit(FILES)[0] == 200


def test_the_hard_limit_is_the_most(soft_limit: tuple[int, int]) -> None:
    hard = soft_limit[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no hard limit here")
    assert allow_open_files(hard + 1) == hard
    assert resource.getrlimit(FILES) == (hard, hard)


def test_a_limit_that_the_system_refuses_leaves_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: int, limits: tuple[int, int]) -> None:
        raise ValueError("as macOS says")

    with monkeypatch.context() as patch:
        patch.setattr(resource, "setrlimit", refuse)
        assert allow_open_files(250) == 200


def test_without_a_limit_there_is_nothing_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert allow_open_files(250) == sys.maxsize
