"""A terminal to run commands in: what it shows, and keys to press."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.command import HUBBUB, environment
from support.waiting import PATIENCE

# The first terminal that the leader of a session opens is the one that sends it signals.
IN_FOREGROUND = 'exec "$@" <> "$0" >&0 2>&0'

_CONTROL = re.compile("\x1b\\[([0-9;?]*)([A-Za-z])|(.)", re.DOTALL)


def visible(written: str) -> list[str]:
    """Return the lines that a terminal without an edge shows. What is no plain line editing or colour is an error."""
    lines, column = [""], 0
    for parameters, letter, character in _CONTROL.findall(written):
        if character == "\n":
            lines.append("")
        elif character == "\r":
            column = 0
        elif character == "\b":
            column -= 1
        elif character:
            assert character.isprintable(), (character, written)
            lines[-1] = lines[-1][:column].ljust(column) + character + lines[-1][column + 1 :]
            column += 1
        elif letter == "K":
            lines[-1] = lines[-1][:column]
        else:  # colours, and bracketed paste
            assert letter == "m" or parameters == "?2004", (letter, written)
    return lines


class Terminal:
    """A terminal, and the command that runs in it."""

    def __init__(self, process: asyncio.subprocess.Process, main: int, line: int) -> None:
        self.process = process
        self._main = main
        self._line = line
        self._before = termios.tcgetattr(line)
        self._written = bytearray()
        self._more = asyncio.Event()
        self._seen = 0
        asyncio.get_running_loop().add_reader(main, self._read)

    def _read(self) -> None:
        self._written += os.read(self._main, 65_536)
        self._more.set()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._main, keys.encode(errors="surrogateescape"))

    @property
    def lines(self) -> list[str]:
        """What is to be seen now."""
        return visible(self._written.decode(errors="replace"))

    async def changes(self) -> None:
        """Wait until more has been written since the last call, even if that came before this call."""
        async with asyncio.timeout(PATIENCE):
            while len(self._written) == self._seen:
                self._more.clear()
                await self._more.wait()
        self._seen = len(self._written)

    async def shows(self, *last: str) -> bool:
        """Wait until these are the last lines."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self.lines[-len(last) :] != list(last):
                    await self.changes()
        except TimeoutError:
            raise AssertionError(self.lines) from None
        return True

    async def ended(self) -> int:
        """Wait for the end of the command and return its exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    @property
    def restored(self) -> bool:
        """Whether the terminal is set as it was at first."""
        return termios.tcgetattr(self._line) == self._before

    def close(self) -> None:
        """Give the terminal back."""
        asyncio.get_running_loop().remove_reader(self._main)
        os.close(self._main)
        os.close(self._line)


@asynccontextmanager
async def terminal(*arguments: str, cwd: Path, script: str = IN_FOREGROUND) -> AsyncIterator[Terminal]:
    """Run ``hubbub ARGUMENTS`` in a terminal of its own until the block ends. `script` is how a shell starts it."""
    main, line = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, os.ttyname(line), *HUBBUB, *arguments,
        cwd=cwd, env=environment(TERM="xterm-256color"), start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    running = Terminal(process, main, line)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        running.close()
