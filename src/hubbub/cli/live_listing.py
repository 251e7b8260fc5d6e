"""``--watch``: a listing that is printed again with each change; in a terminal in the place of the one before."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from hubbub.cli.terminal.json_lines import json_line
from hubbub.cli.terminal.screen import rendered
from hubbub.client.live import LiveQuery
from hubbub.client.results import Row
from hubbub.errors import SettingsError

HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
"""Move the cursor to the first line; erase to the end of the line, and of the screen: ECMA-48, section 8.3."""

MOST_ROWS = 1000
"""Most rows of a live query."""


def check_watch(limit: int | None, *, everything: bool) -> None:
    """Refuse options that a live listing cannot have. Raises `SettingsError`."""
    if everything or (limit or 0) > MOST_ROWS:
        raise SettingsError(f"--watch shows at most {MOST_ROWS} rows: use --limit, and not --all")


async def show_live(
    query: LiveQuery[Row], table: Callable[[list[Row]], Table], nothing: str, *, as_json: bool, width: int
) -> None:
    """Print the listing and each change of it, until the connection ends for good.

    Args:
        query: The live query, which has not begun.
        table: Returns the rows as a table.
        nothing: What to print if there are no rows.
        as_json: Print each change as a line of JSON instead, with ``list``, ``count``, ``set`` and ``gone``.
        width: Columns of an output that is not a terminal.
    """
    terminal = sys.stdout.isatty()
    async with query:
        async for change in query:
            if as_json:
                print(json_line(change), flush=True)
                continue
            console = Console(width=None if terminal else width)
            text = rendered(console, table(change.list)) if change.list else nothing
            if terminal:
                lines = text.splitlines()[: max(1, console.height - 1)]
                text = HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW
                print(text, end="", flush=True)
            else:
                print(f"{text}\n", flush=True)
