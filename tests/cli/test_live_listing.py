"""``--watch`` against a real server: as tables, as lines of JSON, in a terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hubbub.cli.listing import _groups_table
from hubbub.cli.live_listing import check_watch, show_live
from hubbub.client import LiveQuery
from hubbub.client.live import WatchReply
from hubbub.errors import SettingsError
from hubbub.messages import GroupRow
from hubbub.server import Server
from support.clients import Peer
from support.command import ask, spawn
from support.waiting import PATIENCE

Peers = Callable[..., Awaitable[Peer]]


@asynccontextmanager
async def watching(*arguments: str, cwd: Path, url: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Run a command; yield what reads its next line."""
    process = await spawn(*arguments, cwd=cwd, env={"HUBBUB_URL": url})
    assert process.stdout is not None
    stdout = process.stdout

    async def line() -> str:
        async with asyncio.timeout(PATIENCE):
            return (await stdout.readline()).decode().rstrip()

    try:
        yield line
    finally:
        process.kill()
        await process.communicate()


async def test_lines_of_json(server: Server, peers: Peers, tmp_path: Path) -> None:
    async with watching("groups", "--watch", "--json", cwd=tmp_path, url=server.url) as line:
        assert json.loads(await line()) == {"list": [], "count": 0, "set": [], "gone": []}
        await peers(server, guest="ada", group="g")
        row = {"group": "g", "number_of_users": 1, "number_of_connections": 1}
        assert json.loads(await line()) == {"list": [row], "count": 1, "set": [row], "gone": []}


async def test_tables(server: Server, peers: Peers, tmp_path: Path) -> None:
    ada = await peers(server, guest="ada", group="g")
    async with watching("users", "g", "--watch", cwd=tmp_path, url=server.url) as line:
        assert [(await line()).split() for _ in range(3)] == [
            ["user", "connection"],
            ["ada", ada.welcome["connection_id"]],
            [],
        ]
        await ada.do("leave")
        assert await line() == "the group has no members"


@pytest.mark.parametrize("arguments", [["--all"], ["--limit", "1001"]])
async def test_what_a_live_listing_cannot_have(arguments: list[str]) -> None:
    ran = await ask("groups", "--watch", *arguments)
    assert ran.code != 0
    assert "--watch shows at most 1000 rows" in ran.err


def test_a_limit_is_allowed() -> None:
    check_watch(1000, everything=False)
    with pytest.raises(SettingsError):
        check_watch(None, everything=True)


class Terminal:
    """An output that says it is a terminal."""

    def __init__(self) -> None:
        self.written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


async def test_in_a_terminal_it_is_drawn_in_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("LINES", "3")
    monkeypatch.setenv("COLUMNS", "40")

    async def begin(query: LiveQuery[Any]) -> None:
        query.on_reply(WatchReply(1, [GroupRow(f"g{number}", 1, 1) for number in range(9)], 9))
        query.fail(None)

    async def end(query: LiveQuery[Any]) -> None:
        """Tell no server."""

    await show_live(LiveQuery({"what": "groups"}, GroupRow, begin, end), _groups_table, "", as_json=False, width=80)
    assert terminal.written.startswith("\x1b[H")
    assert terminal.written.endswith("\x1b[J")
    assert terminal.written.count("\n") == 2
