"""Freed memory goes back to the system."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.cli.process import free_memory
from hubbub.cli.process.free_memory import find_trim, return_freed_memory, size
from support.waiting import PATIENCE

MB = 1 << 20


@pytest.mark.skipif(find_trim() is None, reason="no glibc here")
async def test_what_was_freed_in_pieces_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "CHECK_INTERVAL", 0.05)
    before = size()
    returning_memory = asyncio.create_task(return_freed_memory())
    await asyncio.sleep(0)
    burst = [bytes(50_000) + b"x" for _ in range(3000)]
    kept = burst[::300]  # and the last: so that the end of the heap is in use
    kept.append(burst[-1])
    assert size() > before + 40 * MB
    del burst
    async with asyncio.timeout(PATIENCE):
        while size() > before + 5 * MB:
            await asyncio.sleep(0.02)
    assert len(kept) == 11
    returning_memory.cancel()
