"""A rolling update from the code that had version 1 of the schema, as processes: each serves while the other does."""

from __future__ import annotations

import asyncio
import io
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hubbub.backends.valkey.schema_version import CURRENT
from support.clients import Peer, open_peer
from support.command import Serving, environment, serving
from support.store import Store
from support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

VERSION_1 = "cca0f877e892d9ab13d9d70a50d20d0090420aff"
"""The last commit with version 1 of the schema."""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of version 1."""
    made = subprocess.run(["git", "archive", VERSION_1, "src"], cwd=ROOT, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"!!! no commit {VERSION_1[:7]} in this clone: the update from version 1 is not tested")
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


@asynccontextmanager
async def serving_old(old: Path, store: Store, cwd: Path) -> AsyncIterator[Serving]:
    """Run a node of version 1 until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hubbub.cli", "serve", "--port", "0", "--backend", store.url()),
        cwd=cwd,
        env=environment(PYTHONPATH=str(old)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        first = (await process.stdout.readline()).decode()
        address = re.search(r"http://\S+", first)
        assert address is not None, first
        yield Serving(process, first, address[0])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def next_message(peer: Peer) -> Any:
    while (event := await peer.event())["type"] != "message":
        assert event["type"] != "gap"
    return event["message"]


async def test_old_and_new_nodes_serve_the_same_groups(old: Path, tmp_path: Path) -> None:
    with Store() as store:
        async with serving_old(old, store, tmp_path) as first:
            ada = await open_peer(first, guest="ada")  # type: ignore[arg-type]
            start = (await ada.do("join", group="g"))["position"]
            lives = await store.run("ZRANGE", "hubbub:{0.0}:lives", 0, -1)
            assert isinstance(lives, list)
            assert b"~" not in lives[0]  # it is the old code
            async with serving("--backend", store.url(), cwd=tmp_path) as second:
                eve = await open_peer(second, guest="eve", group="g")  # type: ignore[arg-type]
                for n in range(20):
                    for sender, receiver in ((ada, eve), (eve, ada)):
                        await sender.do("post", to="g", message=n)
                        assert await next_message(receiver) == n
                        assert await next_message(sender) == n
                rows = [(await peer.do("users", group="g"))["list"] for peer in (ada, eve)]
                assert rows[0] == rows[1]
                assert len(rows[0]) == 2
                ran = await first.stop(signal.SIGTERM)
                assert "Traceback" not in ran.err
                ada = await open_peer(second, guest="ada")  # type: ignore[arg-type]
                joined = await ada.do("join", group="g", since=start)
                assert (joined["replayed"], joined.get("gap", False)) == (40, False)
                assert await store.run("GET", "hubbub:{0.0}:schema") == str(CURRENT).encode()
                # Back again, while the new one serves.
                async with serving_old(old, store, tmp_path) as third:
                    bob = await open_peer(third, guest="bob", group="g")  # type: ignore[arg-type]
                    await eve.do("post", to="g", message="back")
                    async with asyncio.timeout(PATIENCE):
                        assert await next_message(bob) == "back"
