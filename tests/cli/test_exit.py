"""However a command ends, it ends with a code and at most a line about it, even when nobody listens any more."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from hubbub.server import Server
from support.clients import Peer
from support.command import HUBBUB, Ran, environment, serving, spawn
from support.waiting import PATIENCE

Peers: TypeAlias = Callable[..., Awaitable[Peer]]


async def shell(script: str, url: str, cwd: Path) -> Ran:
    """Run a script of the shell, in which ``hubbub`` is the command."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f'hubbub() {{ {shlex.join(HUBBUB)} "$@"; }}\n{script}',
        cwd=cwd, env=environment(HUBBUB_URL=url), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize("command", ["groups", "users g --json", "--help", "post --user nobody hi"])
async def test_a_reader_that_is_gone_is_no_news(command: str, server: Server, peers: Peers, tmp_path: Path) -> None:
    await peers(server, guest="alice", group="g")
    reading, writing = os.pipe()
    os.close(reading)
    process = await spawn(*command.split(), cwd=tmp_path, env={"HUBBUB_URL": server.url}, stdout=writing)
    os.close(writing)
    async with asyncio.timeout(PATIENCE):
        assert await process.communicate() == (None, b"")
    assert process.returncode == 1


@pytest.mark.parametrize("command", ["groups", "users g --json", "--help", "post --user nobody hi", "join g"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
async def test_a_full_disk_is_told_in_a_line(command: str, server: Server, peers: Peers, tmp_path: Path) -> None:
    await peers(server, guest="alice", group="g")
    ran = await shell(f"echo hi | hubbub {command} >/dev/full", server.url, tmp_path)
    assert (ran.code, ran.out) == (1, "")
    *others, last = ran.err.splitlines()
    assert "No space left on device" in last, ran.err
    assert not others or command == "join g"


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["groups", "join g", "post --user nobody -"])
async def test_streams_may_be_closed(command: str, closed: str, server: Server, peers: Peers, tmp_path: Path) -> None:
    await peers(server, guest="alice", group="g")
    ran = await shell(f"hubbub {command} {closed}", server.url, tmp_path)
    assert ran.code == 0
    assert "Traceback" not in ran.err


async def test_what_the_encoding_of_the_output_has_not_is_escaped(server: Server, peers: Peers, tmp_path: Path) -> None:
    await peers(server, guest="alice", group="Grüße 👋")
    ran = await shell("PYTHONIOENCODING=ascii hubbub groups", server.url, tmp_path)
    assert ran.code == 0
    assert r"Gr\xfc\xdfe \U0001f44b" in ran.out


async def test_the_variables_of_clients_do_not_disturb_servers(tmp_path: Path) -> None:
    async with serving(cwd=tmp_path, env={"HUBBUB_URL": "x", "HUBBUB_TOKEN": "x"}) as server:
        assert (await server.stop(signal.SIGTERM)).code == 0


async def test_control_c_before_there_is_an_answer(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as mute:
        url = f"http://127.0.0.1:{mute.sockets[0].getsockname()[1]}"
        for command in ("groups", "join"):
            process = await asyncio.create_subprocess_exec(
                *HUBBUB, command, *(["g"] if command == "join" else []), "--url", url,
                cwd=tmp_path, env=environment(), stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            async with asyncio.timeout(PATIENCE):
                await asked.wait()
                process.send_signal(signal.SIGINT)
                _, err = await process.communicate()
            assert (process.returncode, err) == (130, b"")
            asked.clear()
