"""The event loop of commands: uvloop where it is installed, asyncio elsewhere."""

from __future__ import annotations

import asyncio
import sys

import pytest

from hubbub.cli.process.loop import run


async def name_of_loop() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_uvloop_runs_the_work() -> None:
    pytest.importorskip("uvloop")
    assert run(name_of_loop()) == "uvloop"


def test_without_uvloop_asyncio_runs_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(name_of_loop()) == "asyncio"


def test_errors_of_the_work_are_raised() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fail())
