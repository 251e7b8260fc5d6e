"""The watch over a slow reader: what is still written to it, when it is closed, and what nobody else pays for it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hubbub.errors import Close
from hubbub.messages import Private
from hubbub.node import Node
from hubbub.transports.websocket import backlog, slow_reader
from hubbub.transports.websocket.slow_reader import SlowReader
from support.fake_link import FakeLink, enter, make_node, turn
from support.waiting import PATIENCE


class Pipe(asyncio.Transport):
    """A transport of which nobody reads, unless `written` is cleared."""

    def __init__(self, waiting: int = 0) -> None:
        super().__init__()
        self.written = b"x" * waiting

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return len(self.written)


async def watched(node: Node, waiting: int = 0) -> tuple[FakeLink, Pipe, SlowReader]:
    """Return a connection, its transport and the watch over it."""
    end, pipe = enter(node), Pipe(waiting)
    await turn(node)
    node.fanout.rewire(end.session, pipe.write)
    return end, pipe, SlowReader(pipe, end.session, node)


async def post(node: Node, size: int = 100) -> None:
    await node.backend.post_to_user("ada", Private(msgspec.Raw(b'"' + b"x" * size + b'"'), "eve", None))
    await turn(node)
    await asyncio.sleep(0)  # what the watch has put off until after the write


async def test_while_there_is_room_everything_is_written() -> None:
    node = make_node(max_queue=70_000)
    end, pipe, _ = await watched(node)
    await post(node, 1000)
    assert (b"x" * 1000 in pipe.written, end.closed) == (True, [])
    assert list(end.session.budget.slow) == [end.session]


async def test_beyond_the_limit_nothing_is_written_and_the_connection_is_closed() -> None:
    node = make_node(max_queue=70_000)
    end, pipe, _ = await watched(node, 69_900)
    before = len(pipe.written)
    end.session.write(b"x" * 1000)
    end.session.write(b"x")  # would have room, but no message may follow where one was left out
    await asyncio.sleep(0)
    assert (len(pipe.written), end.closed) == (before, [Close.TOO_SLOW])
    assert node.counters.queue_cuts == 1
    assert node.fanout.connections == {}


async def test_a_connection_that_has_too_much_already_is_closed_at_once() -> None:
    node = make_node(max_queue=70_000)
    end, _, _ = await watched(node, 70_001)
    assert end.closed == []  # not within a write of the fan-out
    await asyncio.sleep(0)
    assert end.closed == [Close.TOO_SLOW]


async def test_a_connection_that_reads_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_reader, "LOOK", 0.001)
    monkeypatch.setattr(backlog, "STALLED_AFTER", 0.01)
    node = make_node()
    end, _, _ = await watched(node, 1000)
    async with asyncio.timeout(PATIENCE):
        while not end.closed:
            await asyncio.sleep(0)
    assert end.closed == [Close.TOO_SLOW]


async def test_a_client_that_has_caught_up_is_written_to_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_reader, "LOOK", 0.0)
    monkeypatch.setattr(backlog, "STALLED_AFTER", 0.0)  # the next look would close it
    node = make_node(max_queue=70_000)
    end, pipe, watch = await watched(node, 1000)
    pipe.written = b""
    watch.end()
    assert end.session.budget.slow == {}
    assert end.session.write == pipe.write
    for _ in range(3):
        await asyncio.sleep(0)
    await post(node, 60_000)
    assert (len(pipe.written) > 60_000, end.closed) == (True, [])


async def test_the_connections_of_one_user_share_a_limit() -> None:
    node = make_node(max_queue=70_000, max_queue_user=100_000)
    one, first, _ = await watched(node, 60_000)
    other, second, _ = await watched(node, 39_000)
    await post(node, 2000)  # each has room for itself; together they have room for half of it
    assert (one.closed, other.closed) == ([Close.TOO_SLOW], [Close.TOO_SLOW])
    assert (len(first.written), len(second.written)) == (60_000, 39_000)


async def test_a_connection_that_is_lost_meanwhile_is_not_counted() -> None:
    node = make_node(max_queue=70_000)
    end, _, _ = await watched(node, 70_001)
    end.session.lost()
    await asyncio.sleep(0)
    assert (end.closed, node.counters.queue_cuts) == ([], 0)


async def test_a_connection_that_is_closing_anyway_is_aborted() -> None:
    node = make_node(max_queue=70_000)
    end, _, _ = await watched(node, 70_001)
    end.session.close(Close.DISCONNECTED, node.now())
    await asyncio.sleep(0)
    assert (end.closed, end.aborted, node.counters.queue_cuts) == ([Close.DISCONNECTED], True, 1)


async def test_ending_a_watch_that_has_given_up_changes_no_writer() -> None:
    node = make_node(max_queue=70_000)
    end, pipe, watch = await watched(node, 70_001)
    watch.end()
    end.session.write(b"x")
    await asyncio.sleep(0)
    assert (len(pipe.written), end.closed) == (70_001, [Close.TOO_SLOW])
