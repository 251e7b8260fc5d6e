"""Workers on a private store, beyond what ``tests/cli/process/test_workers.py`` has: as many as there are cores, two
servers in one folder, and everything killed at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from websockets.exceptions import WebSocketException

from hubbub.cli.process.cores import usable_cores
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


async def test_auto_is_one_worker_per_core(tmp_path: Path) -> None:
    cores = usable_cores()
    async with sharing_a_private_store(tmp_path, "auto") as server:
        assert len(children(server.process.pid)) == (0 if cores == 1 else cores)


async def test_store_and_worker_are_killed_at_once(tmp_path: Path) -> None:
    async with sharing_a_private_store(tmp_path) as server:
        before = await nodes(server, 2)
        workers = children(server.process.pid)
        os.kill(store_of(server.process.pid), signal.SIGKILL)
        os.kill(min(workers), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while True:
                # Refused, reset, or told that the store is away: clients of a server that is being restarted.
                with contextlib.suppress(OSError, WebSocketException, AssertionError):
                    if len(await nodes(server, 2) - before) == 1:
                        break
        assert (await server.stop(signal.SIGTERM)).code == 0


async def test_two_servers_in_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    async with sharing_a_private_store(tmp_path) as one, sharing_a_private_store(tmp_path) as other:
        assert len(folders(tmp_path)) == 2
        stores = [store_of(each.process.pid) for each in (one, other)]
        assert len(set(stores)) == 2
        for server in (one, other):
            first, second = await members_on_both(server)
            await first.do("post", to="lobby", message=server.url)
            assert (await until_event(second, "message"))["message"] == server.url
        await one.stop(signal.SIGTERM)
        assert len(folders(tmp_path)) == 1
        await first.do("post", to="lobby", message="still here")
        assert (await until_event(second, "message"))["message"] == "still here"
        assert runs(stores[1])


async def test_a_store_that_is_killed_again_and_again_comes_back_each_time(tmp_path: Path) -> None:
    async with sharing_a_private_store(tmp_path) as server:
        first, second = await members_on_both(server)
        for n in range(5):
            await until_posted(first, f"message {n}")
            assert (await until_event(second, "message"))["message"] == f"message {n}"
            store = store_of(server.process.pid)
            os.kill(store, signal.SIGKILL)
            await until_event(second, "gap")
            async with asyncio.timeout(PATIENCE):
                while not has_store(server.process.pid, but=store):
                    await asyncio.sleep(0.02)
        assert (await server.stop(signal.SIGTERM)).code == 0


async def test_a_store_that_stops_answering_is_an_outage_and_goes_on_afterwards(tmp_path: Path) -> None:
    async with sharing_a_private_store(tmp_path) as server:
        first, second = await members_on_both(server)
        store = store_of(server.process.pid)
        os.kill(store, signal.SIGSTOP)
        assert (await first.fail("post", to="lobby", message="lost"))["code"] == "UNAVAILABLE"
        os.kill(store, signal.SIGCONT)
        await until_posted(first, "again")
        while (await until_event(second, "message"))["message"] != "again":
            pass
        assert store_of(server.process.pid) == store
