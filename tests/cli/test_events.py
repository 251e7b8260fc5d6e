"""``hubbub events`` against a real server: its lines, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from hubbub.server import Server
from support.clients import Peer, token
from support.command import environment, run

Peers = Callable[..., Awaitable[Peer]]


async def test_it_prints_what_is_there_and_what_happens(secured: Server, peers: Peers, tmp_path: Path) -> None:
    await peers(secured, token=token("ada"), group="a")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hubbub.cli", "events", "--since", "start", "--group", "a*"),
        cwd=tmp_path,
        env=environment(HUBBUB_URL=secured.url, HUBBUB_TOKEN=token("backend", role="server")),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            lines = [json.loads(await process.stdout.readline()) for _ in range(4)]
            assert [line["type"] for line in lines] == [
                "snapshot_begin",
                "group_opened",
                "member_joined",
                "snapshot_end",
            ]
            await peers(secured, token=token("bob"), group="a")
            event = json.loads(await process.stdout.readline())
        assert (event["type"], event["user_id"], event["number_of_users"]) == ("member_joined", "bob", 2)
    finally:
        process.kill()
        await process.wait()


async def test_it_needs_a_server_token(secured: Server, tmp_path: Path) -> None:
    ran = await run("events", cwd=tmp_path, env={"HUBBUB_URL": secured.url, "HUBBUB_TOKEN": token("ada")})
    assert ran.code == 2
    assert 'make one with "hubbub token NAME --server"' in ran.err


async def test_it_says_what_the_server_refuses(secured: Server, tmp_path: Path) -> None:
    env = {"HUBBUB_URL": secured.url, "HUBBUB_TOKEN": token("backend", role="server")}
    ran = await run("events", "--since", "x", cwd=tmp_path, env=env)
    assert (ran.code, ran.out) == (1, "")
    assert '"since" must be the "cursor" of an event' in ran.err
