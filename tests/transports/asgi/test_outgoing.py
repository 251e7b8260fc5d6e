"""Sending through ASGI: at once, from a queue while the server waits, and after a failure."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from hubbub.transports.asgi.messages import Messages
from hubbub.transports.asgi.outgoing import Outgoing
from hubbub.transports.websocket.frames import text_frame
from support.waiting import PATIENCE

WHERE = contextvars.ContextVar("WHERE", default="outside")


class Server:
    """The ``send`` of a server: takes messages at once, or when `open` is set."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.taken: list[str] = []
        self.events: list[Any] = []
        self.where: set[tuple[str, object]] = set()
        self.error: Exception | None = None

    async def send(self, message: Any) -> None:
        self.where.add((WHERE.get(), asyncio.current_task()))
        async with asyncio.timeout(PATIENCE):  # it notices if it goes on in another task
            await self.open.wait()
        self.where.add((WHERE.get(), asyncio.current_task()))
        if self.error is not None:
            raise self.error
        self.taken.append(message["text"])

    def outgoing(self, high: int = 100) -> Outgoing:
        note = self.events.append
        return Outgoing(self.send, Messages(), high, lambda: note("paused"), lambda: note("resumed"), note)


def write(outgoing: Outgoing, *texts: str) -> None:
    """Write as the fan-out does: outside of any task."""
    data = b"".join(text_frame(text.encode()) for text in texts)
    asyncio.get_running_loop().call_soon(outgoing.write, data)


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


async def test_messages_go_out_at_once_in_the_context_and_task_of_the_connection() -> None:
    server = Server()
    WHERE.set("the connection")
    outgoing = server.outgoing()
    WHERE.set("elsewhere")
    write(outgoing, "one", "two")
    await asyncio.sleep(0)
    assert server.taken == ["one", "two"]
    ((where, task),) = server.where
    assert where == "the connection"
    assert task is not None
    assert task is not asyncio.current_task()
    await outgoing.end()


async def test_while_the_server_waits_messages_are_queued_counted_and_sent_in_order() -> None:
    server = Server()
    server.open.clear()
    outgoing = server.outgoing()
    write(outgoing, "one", "two")
    write(outgoing, "three")
    await until(lambda: outgoing.get_write_buffer_size() == 5 + 5 + 7)
    write(outgoing, "x" * 90)
    await until(lambda: server.events == ["paused"])
    server.open.set()
    await until(lambda: server.events == ["paused", "resumed"])
    assert server.taken == ["one", "two", "three", "x" * 90]
    assert outgoing.get_write_buffer_size() == 0
    write(outgoing, "at once again")
    await asyncio.sleep(0)
    assert server.taken[-1] == "at once again"
    assert len(server.where) == 1  # the call that waited went on in the same task
    await outgoing.end()


@pytest.mark.parametrize("waits", [False, True])
async def test_after_a_failure_nothing_more_is_sent(waits: bool) -> None:
    server = Server()
    outgoing = server.outgoing()
    if waits:
        server.open.clear()
    server.error = OSError("gone")
    write(outgoing, "one", "two")
    await asyncio.sleep(0)
    server.open.set()
    await until(lambda: server.events == [server.error])
    server.error = None
    write(outgoing, "three")
    await asyncio.sleep(0)
    assert server.taken == []
    await outgoing.end()


async def test_a_write_from_a_task_is_sent_too() -> None:
    server = Server()
    outgoing = server.outgoing()
    outgoing.write(text_frame(b"one"))
    outgoing.write(text_frame(b"two"))
    await until(lambda: server.taken == ["one", "two"])
    await outgoing.end()


async def test_the_end_cuts_a_call_that_waits() -> None:
    server = Server()
    server.open.clear()
    outgoing = server.outgoing()
    write(outgoing, "one")
    await until(lambda: outgoing.get_write_buffer_size() > 0)
    await outgoing.end()
    server.open.set()
    await asyncio.sleep(0)
    assert server.taken == []
