"""``hubbub serve --workers``: several processes on one port."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients import open_peer
from support.command import PATIENCE, run, serving
from support.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as running:
        yield running


def children(pid: int) -> set[int]:
    """Return the processes that `pid` has started and that serve: the helper of multiprocessing does not."""
    found = set()
    for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes():
            found.add(int(each))
    return found


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists()


async def nodes(server: object, wanted: int) -> set[str]:
    """Connect until `wanted` different nodes have answered; return them."""
    found: set[str] = set()
    async with asyncio.timeout(PATIENCE):
        while len(found) < wanted:
            peer = await open_peer(server, guest="ada")  # type: ignore[arg-type]
            found.add(peer.welcome["node"])
            await peer.socket.close()
    return found


async def test_workers_share_a_port_and_groups_are_replaced_and_end_together(store: Store, tmp_path: Path) -> None:
    async with serving("--workers", "2", "--backend", store.url(), cwd=tmp_path) as server:
        before = await nodes(server, 2)
        pid = server.process.pid
        workers = children(pid)
        assert len(workers) == 2
        os.kill(min(workers), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while len(children(pid) - workers) < 1:
                await asyncio.sleep(0.02)
        async with asyncio.timeout(PATIENCE):
            while not await nodes(server, 2) - before:
                pass
        ran = await server.stop(signal.SIGTERM)
        assert ran.code == 0
        assert "Traceback" not in ran.err


async def test_workers_end_when_their_parent_is_killed(store: Store, tmp_path: Path) -> None:
    async with serving("--workers", "2", "--backend", store.url(), cwd=tmp_path) as server:
        await nodes(server, 2)
        workers = children(server.process.pid)
        server.process.kill()
        await server.process.wait()
        async with asyncio.timeout(PATIENCE):
            while any(runs(worker) for worker in workers):
                await asyncio.sleep(0.02)


async def test_workers_without_a_store_fail_and_say_why(tmp_path: Path) -> None:
    ran = await run("serve", "--port", "0", "--workers", "2", "--backend", "valkey://127.0.0.1:1", cwd=tmp_path)
    assert ran.code == 1
    assert "127.0.0.1:1" in ran.err
    assert "Traceback" not in ran.err


async def test_workers_need_a_backend_that_they_share(tmp_path: Path) -> None:
    ran = await run("serve", "--workers", "2", cwd=tmp_path)
    assert ran.code == 2
    assert "--backend" in ran.err
