"""Nodes as separate processes, as in production: killed and stopped, with the event loop of `hubbub serve`."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hubbub.server import Server
from support.clients import Peer
from support.command import Serving, serving
from support.store import Store

Peers = Callable[..., Awaitable[Peer]]


@pytest.fixture
async def process(store: Store, tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(
        "--backend", store.url(), "--shutdown-timeout", "1", "--restart-grace", "0", cwd=tmp_path
    ) as running:
        yield running


@pytest.fixture
async def seen(store: Store, start: Callable[..., Awaitable[Server]], peers: Peers, process: Serving) -> Peer:
    """Ada, on a node that stays; bob and eve are in her group, on the one that will not."""
    ada = await peers(await start(backend=store.url()), guest="ada", group="g")
    for guest in ("bob", "eve"):
        await peers(process, guest=guest, group="g")
        assert (await ada.event())["code"] == "USER_JOINED"
    return ada


@pytest.mark.alone
@pytest.mark.parametrize(("number", "within"), [(signal.SIGKILL, 5.0), (signal.SIGTERM, 1.0)])
async def test_the_members_of_a_node_that_ends_are_gone_soon_and_once(
    process: Serving, seen: Peer, number: signal.Signals, within: float
) -> None:
    began = time.monotonic()
    process.process.send_signal(number)
    gone = [await seen.event() for _ in range(2)]
    assert time.monotonic() - began < within
    assert [event["code"] for event in gone] == ["USER_DISCONNECTED"] * 2
    assert {event["sender"] for event in gone} == {"bob", "eve"}
    assert (await seen.do("groups"))["list"] == [{"group": "g", "number_of_users": 1, "number_of_connections": 1}]
    await process.process.wait()
    assert await seen.quiet()


async def test_a_node_that_was_frozen_comes_back_with_its_members(process: Serving, seen: Peer) -> None:
    process.process.send_signal(signal.SIGSTOP)
    try:
        assert [(await seen.event())["code"] for _ in range(2)] == ["USER_DISCONNECTED"] * 2
    finally:
        process.process.send_signal(signal.SIGCONT)
    assert [(await seen.event())["code"] for _ in range(2)] == ["USER_JOINED"] * 2
    assert (await seen.do("groups"))["list"] == [{"group": "g", "number_of_users": 3, "number_of_connections": 3}]
