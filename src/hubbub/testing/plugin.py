"""The pytest plugin: the fixture ``hub``, loaded by ``pytest_plugins = ["hubbub.testing"]`` or ``-p hubbub.testing``.

An async test ends its hub itself, in its own loop, whoever runs it: pytest-asyncio, anyio, or, if there is none, this
plugin.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from hubbub.hub.hub import Hub
from hubbub.testing.hub import TestHub
from hubbub.testing.own_loop import acquire_runner, release_runner, run_blocking
from hubbub.testing.sync import SyncTestHub


@pytest.fixture
def app_hub() -> Hub | None:
    """The hub that the fixture ``hub`` runs. Override it to return the `hubbub.Hub` of your app; None for a new hub."""
    return None


@pytest.fixture
def hub(request: pytest.FixtureRequest, app_hub: Hub | None) -> Iterator[TestHub | SyncTestHub]:
    """A hub for one test: a `TestHub` for an async test, otherwise a `SyncTestHub`."""
    if not inspect.iscoroutinefunction(inspect.unwrap(request.function)):
        with SyncTestHub(app_hub) as blocking:
            yield blocking
        return
    tested = TestHub(app_hub)
    tested._run.begin()
    yield tested
    tested._run.forget()  # it has ended with its test, unless the test did not run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """End the hub of an async test in the loop of the test."""
    tested = getattr(item, "funcargs", {}).get("hub")
    if not isinstance(tested, TestHub) or not isinstance(item, pytest.Function):
        return (yield)
    test = item.obj
    item.obj = _ended_afterwards(test, tested)
    try:
        return (yield)
    finally:
        item.obj = test


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test with a hub that no other plugin runs."""
    if not isinstance(pyfuncitem.funcargs.get("hub"), TestHub) or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    runner = acquire_runner()
    try:
        run_blocking(pyfuncitem.obj(**arguments), runner, None)
    finally:
        release_runner()
    return True


def _ended_afterwards(test: Any, tested: TestHub) -> Any:
    @functools.wraps(test)
    async def run(*arguments: Any, **named: Any) -> Any:
        try:
            return await test(*arguments, **named)
        finally:
            await tested._run.end()

    return run
