"""``hubbub groups`` and ``hubbub users``: tables for people, JSON lines for programs."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Generic

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hubbub.cli.access import Access, connected, retry_rate_limited
from hubbub.cli.live_listing import check_watch, show_live
from hubbub.cli.process.loop import run
from hubbub.cli.terminal.json_lines import json_line
from hubbub.cli.terminal.screen import one_line, rendered
from hubbub.client.results import Page, Row, StartKey
from hubbub.errors import CommandError, ErrorCode, SettingsError
from hubbub.messages import Condition, GroupRow, Order, UserRow

DEFAULT_LIMIT = 50
LARGE_PAGE = 1000
"""Rows to request per page: the default maximum of a server."""
UNBOUNDED = 1_000_000
"""Columns of an output that is not a terminal, so that nothing is folded."""

Limit = Annotated[
    int | None, Parameter(validator=Number(gte=1), metavar="ROWS", show_default=lambda _: str(DEFAULT_LIMIT))
]
Flag = Annotated[bool, Parameter(negative=())]
All = Annotated[bool, Parameter(name="--all", negative=())]
Ask = Callable[[int | None, StartKey | None], Awaitable[Page[Row]]]
"""Requests a page: its maximum rows (None: the server's default), and where it begins."""


def groups(
    *,
    search_for: Order = "group",
    value: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    condition: Condition | None = None,
    range_: Annotated[str | None, Parameter(name="--range", allow_leading_hyphen=True)] = None,
    descending: Flag = False,
    limit: Limit = None,
    all_: All = False,
    json: Flag = False,
    watch: Flag = False,
    access: Access | None = None,
) -> None:
    """List or search the groups.

    All of them, those whose names start with "Hello", those with more than
    ten users, the largest ones:

        hubbub groups
        hubbub groups --value Hello --condition ">="
        hubbub groups --search-for number_of_users --value 10 --condition gt
        hubbub groups --search-for number_of_users --descending --limit 5
        hubbub groups --value a --range c --all --json
        hubbub groups --search-for number_of_users --descending --watch

    Args:
        search_for: Compare and order by name, or by number of users.
        value: The name or number to compare with.
        condition: How to compare. For names, ">=" means "starts with". Default: "=".
        range_: List from --value to this one, both included. Excludes --condition.
        descending: Reverse the order.
        limit: Maximum rows to show.
        all_: Show every row.
        json: Print each row as a line of JSON; with --watch, each change.
        watch: Print the list again whenever it changes, until interrupted.
        access: The server and your identity.
    """
    low, high = _comparable("--value", value, search_for), _comparable("--range", range_, search_for)
    wanted = _wanted(limit, everything=all_)
    if watch:
        check_watch(limit, everything=all_)

    async def work() -> None:
        async with connected(access or Access()) as client:
            if watch:
                live = client.watch_realtime_groups(
                    search_for, low, condition, high, limit=limit, ascending=not descending
                )
                await show_live(live, _groups_table, "no groups", as_json=json, width=UNBOUNDED)
                return

            async def ask(size: int | None, start_key: StartKey | None) -> Page[GroupRow]:
                return await client.get_realtime_groups(
                    search_for, low, condition, high, limit=size, ascending=not descending, start_key=start_key
                )

            await _show(Listing(ask, wanted), _groups_table, "no groups", as_json=json)

    run(work())


def users(
    group: Annotated[str, Parameter(show_default=False)],
    /,
    *,
    user_id: Annotated[str | None, Parameter(metavar="USER", allow_leading_hyphen=True)] = None,
    descending: Flag = False,
    limit: Limit = None,
    all_: All = False,
    json: Flag = False,
    watch: Flag = False,
    access: Access | None = None,
) -> None:
    """List the users in a group.

    There is one row for each connection, so a user with two devices is listed
    twice:

        hubbub users HelloWorld
        hubbub users HelloWorld --user-id alice
        hubbub users HelloWorld --all --json

    Args:
        group: The group.
        user_id: Only this user's connections.
        descending: Reverse the order.
        limit: Maximum rows to show.
        all_: Show every row.
        json: Print each row as a line of JSON; with --watch, each change.
        watch: Print the list again whenever it changes, until interrupted.
        access: The server and your identity.
    """
    wanted = _wanted(limit, everything=all_)
    if watch:
        check_watch(limit, everything=all_)

    async def work() -> None:
        async with connected(access or Access()) as client:
            if watch:
                present = client.watch_realtime_users(group, user_id, limit=limit, ascending=not descending)
                await show_live(present, _users_table, "the group has no members", as_json=json, width=UNBOUNDED)
                return

            async def ask(size: int | None, start_key: StartKey | None) -> Page[UserRow]:
                return await client.get_realtime_users(
                    group, user_id, limit=size, ascending=not descending, start_key=start_key
                )

            await _show(Listing(ask, wanted), _users_table, "the group has no members", as_json=json)

    run(work())


def _comparable(flag: str, value: str | None, search_for: Order) -> str | int | float | None:
    if value is None or search_for == "group":
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{flag} must be a number with --search-for number_of_users, not {value!r}")
    return number


def _wanted(limit: int | None, *, everything: bool) -> int | None:
    if everything and limit is not None:
        raise SettingsError("--limit and --all exclude each other: use one of them")
    return None if everything else limit or DEFAULT_LIMIT


class Listing(Generic[Row]):
    """The rows of consecutive pages, at most `wanted` of them; None for all.

    Attributes:
        more: Whether there are rows after the last one that was returned.
    """

    def __init__(self, ask: Ask[Row], wanted: int | None) -> None:
        self.more = False
        self._ask: Ask[Row] = ask
        self._wanted = wanted
        self._size: int | None = min(wanted or LARGE_PAGE, LARGE_PAGE)

    async def __aiter__(self) -> AsyncIterator[Row]:
        """Iterate over the rows. A page may be short or empty before the end; only `end_of_list` tells the end."""
        left = self._wanted
        start_key: StartKey | None = None
        while True:
            page = await self._page(start_key)
            taken = page.list[:left]
            for row in taken:
                yield row
            if left is not None:
                left -= len(taken)
            finished = page.end_of_list and len(taken) == len(page.list)
            if finished or left == 0:
                self.more = not finished
                return
            start_key = page.start_key

    async def _page(self, start_key: StartKey | None) -> Page[Row]:
        try:
            return await retry_rate_limited(lambda: self._ask(self._size, start_key))
        except CommandError as error:
            if error.code != ErrorCode.INVALID_PARAMETER or '"limit"' not in error.message or self._size is None:
                raise
            self._size = None  # this server allows smaller pages only
            return await self._page(start_key)


async def _show(listing: Listing[Row], table: Callable[[list[Row]], Table], nothing: str, *, as_json: bool) -> None:
    if as_json:
        async for row in listing:
            print(json_line(row))
    else:
        rows = [row async for row in listing]
        if rows:
            print(rendered(Console(width=None if sys.stdout.isatty() else UNBOUNDED), table(rows)))
        else:
            print(f"hubbub: {nothing}", file=sys.stderr)
    if listing.more:
        print("hubbub: there are more rows; --all shows all of them, --limit changes how many", file=sys.stderr)


def _groups_table(rows: list[GroupRow]) -> Table:
    table = _table("group")
    for heading in ("users", "connections"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(Text(one_line(row.group)), str(row.number_of_users), str(row.number_of_connections))
    return table


def _users_table(rows: list[UserRow]) -> Table:
    table = _table("user")
    table.add_column("connection")
    for row in rows:
        table.add_row(Text(one_line(row.user_id)), Text(one_line(row.connection_id)))
    return table


def _table(first: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    return table
