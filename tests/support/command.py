"""The real command line, as a process of its own."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hubbub.cli import main
from support.server_process import HUBBUB as HUBBUB
from support.server_process import environment as environment
from support.waiting import PATIENCE


class Ran(NamedTuple):
    """The exit code of a command and its output."""

    code: int
    out: str
    err: str


async def spawn(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, **options: Any
) -> asyncio.subprocess.Process:
    """Start ``hubbub ARGUMENTS`` with pipes for input and output."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    return await asyncio.create_subprocess_exec(
        *HUBBUB, *arguments, cwd=cwd, env=environment(**(env or {})), **{**pipes, **options}
    )


async def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: str = "") -> Ran:
    """Run ``hubbub ARGUMENTS`` to its end."""
    process = await spawn(*arguments, cwd=cwd, env=env)
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@dataclass
class Serving:
    """A running ``hubbub serve``. `first` is the first line that it wrote."""

    process: asyncio.subprocess.Process
    first: str
    url: str

    async def stop(self, number: int) -> Ran:
        """Send a signal and wait for the end; the output is what came after the first line."""
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ran(self.process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def serving(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[Serving]:
    """Run ``hubbub serve ARGUMENTS`` on a free port until it is stopped or the block ends."""
    process = await spawn("serve", "--port", "0", *arguments, cwd=cwd, env=env, **options)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            first = (await process.stdout.readline()).decode()
        address = re.search(r"http://\S+", first)
        assert address is not None, (first, process.stderr and await process.stderr.read())
        yield Serving(process, first, address[0])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def call(*arguments: str) -> Ran:
    """Run ``hubbub ARGUMENTS`` in this process, in its directory and environment, as a process of its own would.

    For commands that end without doing much: it is thirty times as quick as `run`.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Ran(code or 0, out.getvalue(), err.getvalue())


async def ask(*arguments: str) -> Ran:
    """Do `call` in a thread, for commands that talk to a server that runs in this loop."""
    return await asyncio.to_thread(call, *arguments)
