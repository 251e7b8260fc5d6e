"""Lines from a terminal, a pipe or a file, while the event loop goes on."""

from __future__ import annotations

import asyncio
import codecs
import io
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

from hubbub.cli.terminal.screen import CLEAR

try:
    import readline
    import termios
except ImportError:  # Windows: lines are read as they are, without editing
    readline = None  # type: ignore[assignment]

PROMPT = "> "
WAITING = 100
"""Most lines read ahead."""


class Keyboard:
    """Standard input, line by line. On a terminal lines can be edited and recalled.

    Attributes:
        edits: Whether somebody types at a terminal.
    """

    def __init__(self) -> None:
        self.edits = readline is not None and sys.stdin.isatty() and sys.stdout.isatty()
        self._prompting = False
        self._drawing = threading.Lock()  # held while the prompt is being printed, and while something else is
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # whatever keys are pressed

    @contextmanager
    def typed(self) -> Iterator[str]:
        """Hold the typing up; return the prompt and what stands behind it; "" where nobody types, or not just now."""
        with self._drawing:
            yield PROMPT + readline.get_line_buffer() if self._prompting else ""

    async def lines(self) -> AsyncIterator[str]:
        """Iterate over the lines until input ends."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)

        def put(line: str | None) -> None:
            asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

        # A thread, since a file can be neither polled nor read without blocking; a daemon, since nothing ends a read.
        reading = threading.Thread(target=_read, args=(self._edited if self.edits else _plain, put), daemon=True)
        with _terminal_restored(self.edits):
            reading.start()
            while (line := await queue.get()) is not None:
                yield line

    def _edited(self) -> Iterator[str]:
        readline.set_startup_hook(self._before_prompt)
        readline.set_pre_input_hook(self._behind_prompt)
        with suppress(EOFError):
            while True:
                try:
                    line = input(PROMPT)
                finally:
                    self._line_ended()
                yield line

    def _line_ended(self) -> None:
        """Take away the prompt again, if something was printed around it after the line had ended."""
        with self._drawing:
            self._prompting = False
            sys.stdout.write(CLEAR)
            sys.stdout.flush()

    def _before_prompt(self) -> None:
        """Called just before the prompt is printed. Nothing may come between it and the next call."""
        self._drawing.acquire()

    def _behind_prompt(self) -> None:
        """Called when the prompt has been printed: what comes now has to be printed around it."""
        self._prompting = True
        self._drawing.release()


def _read(source: Callable[[], Iterator[str]], put: Callable[[str | None], None]) -> None:
    with suppress(RuntimeError, asyncio.CancelledError):  # the loop has ended
        with suppress(OSError):  # the terminal is gone
            for line in source():
                put(line)
        put(None)


def _plain() -> Iterator[str]:
    """Read the descriptor itself: a thread inside of ``sys.stdin`` would hold its lock when Python exits."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while data := os.read(sys.stdin.fileno(), 65_536):
        *lines, rest = (rest + decoder.decode(data)).split("\n")
        yield from (line.removesuffix("\r") for line in lines)
    if rest:
        yield rest


@contextmanager
def _terminal_restored(edits: bool) -> Iterator[None]:
    """Put the terminal back as it was: whoever stops in the middle of a line leaves it in readline's hands."""
    if not edits:
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
