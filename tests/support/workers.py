"""``hubbub serve --workers`` as real processes: the workers, their private store, and clients of different workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.clients import Peer, open_peer
from support.command import Serving, serving
from support.waiting import PATIENCE


def every_child(pid: int) -> list[str]:
    """Return the processes that `pid` has started."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def children(pid: int) -> set[int]:
    """Return the processes that `pid` has started and that serve: the helper of multiprocessing does not."""
    return {int(each) for each in every_child(pid) if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()}


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


@contextlib.asynccontextmanager
async def sharing_a_private_store(tmp_path: Path, workers: str = "2") -> AsyncIterator[Serving]:
    """Run workers on a private store, whose folder is in `tmp_path`."""
    env = {"RUNTIME_DIRECTORY": str(tmp_path)}
    async with serving("--workers", workers, "--backend", "memory", cwd=tmp_path, env=env) as server:
        yield server


def store_of(pid: int) -> int:
    """Return the process of the private store of a server."""
    (store,) = (int(each) for each in every_child(pid) if b"store.sock" in Path(f"/proc/{each}/cmdline").read_bytes())
    return store


def has_store(pid: int, but: int) -> bool:
    """Return whether the server has a private store again, after `but`."""
    with contextlib.suppress(ValueError, FileNotFoundError):
        return store_of(pid) != but
    return False


def folders(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("hubbub-private-*"))


async def members_on_both(server: object) -> list[Peer]:
    """Return a member of the group ``lobby`` on each of two nodes."""
    found: dict[str, Peer] = {}
    async with asyncio.timeout(PATIENCE):
        while len(found) < 2:
            peer = await open_peer(server, guest=f"user{len(found)}")  # type: ignore[arg-type]
            if peer.welcome["node"] in found:
                await peer.socket.close()
            else:
                found[peer.welcome["node"]] = peer
    for peer in found.values():
        await peer.do("join", group="lobby")
    return list(found.values())


async def until_event(peer: Peer, kind: str) -> dict[str, Any]:
    """Return the next event of a kind."""
    while (event := await peer.event())["type"] != kind:
        pass
    return event


async def until_posted(peer: Peer, message: str) -> None:
    """Post until the post is accepted; meanwhile only what an outage of a store says is an answer."""
    async with asyncio.timeout(PATIENCE):
        while "error" in (reply := await peer.ask("post", to="lobby", message=message)):
            assert reply["error"]["code"] == "UNAVAILABLE"
            await asyncio.sleep(0.02)
