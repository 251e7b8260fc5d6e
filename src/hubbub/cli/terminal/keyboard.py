"""Reads lines from a terminal, a pipe or a file without blocking the event loop."""

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
READ_AHEAD = 100
"""Maximum lines that are read before they are needed."""


class Keyboard:
    """Standard input, line by line. On a terminal lines can be edited and recalled.

    Attributes:
        edits: Whether lines are typed and edited at a terminal.
        in_background: Whether input is the terminal and this process is a background job. The system stops a background
            job that reads from its terminal, so nothing is read then.
    """

    def __init__(self) -> None:
        self.in_background = _in_background()
        self.edits = readline is not None and sys.stdin.isatty() and sys.stdout.isatty() and not self.in_background
        self._prompting = False
        self._drawing = threading.Lock()  # held while the prompt is being printed, and while something else is
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # any keys can be pressed

    @contextmanager
    def typed(self) -> Iterator[str]:
        """Pause typing; return the prompt and the text typed after it, or "" while there is no prompt."""
        with self._drawing:
            yield PROMPT + readline.get_line_buffer() if self._prompting else ""

    async def lines(self) -> AsyncIterator[str]:
        """Iterate over the lines until input ends."""
        if self.in_background:
            return
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        room = threading.Semaphore(READ_AHEAD)

        def put(line: str | None) -> None:
            room.acquire()
            loop.call_soon_threadsafe(queue.put_nowait, line)

        # A thread, because files cannot be polled; a daemon, because nothing can end a read.
        reading = threading.Thread(target=_read, args=(self._edited if self.edits else _plain, put), daemon=True)
        with _terminal_restored(self.edits):
            reading.start()
            while (line := await queue.get()) is not None:
                room.release()
                yield line

    def _edited(self) -> Iterator[str]:
        readline.set_startup_hook(self._before_prompt)
        readline.set_pre_input_hook(self._after_prompt)
        with suppress(EOFError):
            while True:
                try:
                    line = input(PROMPT)
                finally:
                    self._line_ended()
                yield line

    def _line_ended(self) -> None:
        """Erase the prompt that was printed again if other output came after the end of the line."""
        with self._drawing:
            self._prompting = False
            sys.stdout.write(CLEAR)
            sys.stdout.flush()

    def _before_prompt(self) -> None:
        """Called just before the prompt is printed. Nothing else may be printed until `_after_prompt` is called."""
        self._drawing.acquire()

    def _after_prompt(self) -> None:
        """Called when the prompt has been printed: other output must now be printed around it."""
        self._prompting = True
        self._drawing.release()


def _in_background() -> bool:
    """Return whether input is our controlling terminal, and another process group is in its foreground."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp()
    except (AttributeError, OSError):  # Windows; no terminal, or not our controlling one
        return False


def _read(source: Callable[[], Iterator[str]], put: Callable[[str | None], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended
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
    """Restore the terminal's modes: readline does not when it is interrupted in the middle of a line."""
    if not edits:
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
