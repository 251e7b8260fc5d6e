"""What is said when the store cannot be used: clients learn no address, and operators learn the reason in one line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import Peer, open_peer
from support.command import run
from support.store import Store
from support.waiting import PATIENCE

NOT_STORES = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "an SSH server": b"SSH-2.0-OpenSSH_9.2\r\n",
    "one that says OK to everything": b"+OK\r\n",
    "one that closes": b"",
}


@pytest.mark.parametrize("name", NOT_STORES)
async def test_a_port_that_is_not_a_store_gets_one_line(name: str, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(NOT_STORES[name])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as running:
        address = f"127.0.0.1:{running.sockets[0].getsockname()[1]}"
        ran = await run("serve", "--port", "0", cwd=tmp_path, env={"HUBBUB_BACKEND": f"valkey://{address}"})
    assert ran.code == 2
    why = "does not answer like Valkey or Redis; check host and port" if NOT_STORES[name] else "closed the connection"
    assert ran.err.splitlines() == [
        f"hubbub: backend: cannot use the store: {address}: it {why} (backend comes from HUBBUB_BACKEND)"
    ]


async def test_a_wrong_password_is_not_to_be_tried_again(tmp_path: Path) -> None:
    with Store() as store:
        await store.run("CONFIG", "SET", "requirepass", "right")
        url = f"valkey://:wrong@127.0.0.1:{store.port}"
        ran = await run("serve", "--port", "0", cwd=tmp_path, env={"HUBBUB_BACKEND": url})
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith(f"hubbub: backend: cannot use the store: 127.0.0.1:{store.port}: WRONGPASS ")
    assert "Try again" not in line
    assert "wrong@" not in line


async def test_clients_learn_no_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hubbub.valkey")
    with Store() as store:
        async with Server(Settings(port=0, backend=store.url())) as server:
            peer = await open_peer(server, guest="ada", group="g")
            store.kill()
            told = await errors_until(peer, lambda: "Connect call failed" in caplog.text)
            await peer.socket.close()
            assert told == {"The store does not answer. Try again."}
    assert f"127.0.0.1:{store.port}" in caplog.text
    assert "Traceback" not in caplog.text


async def errors_until(peer: Peer, over: Callable[[], bool]) -> set[str]:
    """Post until `over()` holds; return the texts of the errors."""
    told = set()
    async with asyncio.timeout(PATIENCE):
        while not over():
            told.add((await peer.fail("join", group="h"))["message"])
            await asyncio.sleep(0.02)
    return told
