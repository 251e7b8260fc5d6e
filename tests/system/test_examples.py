"""The programs in ``examples/`` and in the docs, as a reader would run them."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hubbub.server import Server
from support.clients import Peer
from support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
Peers = Callable[..., Awaitable[Peer]]


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode().strip()


async def test_the_echo_bot(server: Server, peers: Peers) -> None:
    async with running(str(EXAMPLES / "echo_bot.py"), server.url, "lobby") as bot:
        assert await line(bot) == "listening in lobby"
        alice = await peers(server, guest="alice", group="lobby")
        assert (await alice.event())["message"] == {"msg": "Welcome, alice!"}
        await alice.do("post", to={"group": "lobby"}, message={"msg": "!echo Grüße"})
        heard = [(await alice.event())["message"] for _ in range(2)]
        assert heard == [{"msg": "!echo Grüße"}, {"msg": "Grüße"}]


async def test_the_busiest_groups(server: Server, peers: Peers) -> None:
    await peers(server, guest="alice", group="small")
    await peers(server, guest="bob", group="large")
    await peers(server, guest="carol", group="large")
    async with running(str(EXAMPLES / "busiest_groups.py"), server.url, "1") as dashboard:
        assert [await line(dashboard) for _ in range(3)] == ["--- 2 groups", "2  large", "1  small"]


async def test_the_embedded_server() -> None:
    async with running(str(EXAMPLES / "embedded_server.py")) as app:
        assert await line(app) == "orders/17 {'status': 'paid'}"
        assert await app.wait() == 0


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
async def test_the_first_program_of_a_page(server: Server, peers: Peers, page: str) -> None:
    alice = await peers(server, guest="alice", group="HelloWorld")
    first = re.search(r"```python[^\n]*\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert first is not None
    assert "http://127.0.0.1:8000" in first[1]
    async with running("-u", "-c", first[1].replace("http://127.0.0.1:8000", server.url)) as program:
        assert (await alice.event())["code"] == "USER_JOINED"
        assert (await alice.event())["message"] == {"msg": "Hello from Python"}
        assert (await line(program)).startswith("Connected(")
        assert "'msg': 'Hello from Python'" in await line(program)


def test_every_example_is_tested() -> None:
    here = Path(__file__)
    tests = here.read_text() + here.with_name("test_app_examples.py").read_text()
    for path in (each for each in EXAMPLES.iterdir() if each.suffix != ".html"):  # a page has no test of its own
        assert path.name in tests or f'"{path.stem}"' in tests, f"{path} is not tested"
