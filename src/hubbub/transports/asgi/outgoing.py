"""Sends to one client through ASGI: at once where the server takes the message at once, otherwise from a queue.

A task for every message would cost as much as sending it. So ``send`` is called by the fan-out, in the name of a task
of the connection, which takes over where the call has to wait for a slow reader ("Task lifetime support" of "Extending"
in the manual of asyncio). While it waits, further messages are queued, and their bytes are counted.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio.tasks import _enter_task, _leave_task
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from hubbub.transports.asgi.messages import Messages

Send = Callable[[Any], Awaitable[None]]


class Outgoing:
    """What is sent to one client. `hubbub.transports.websocket.slow_reader` watches it as it watches a transport.

    Args:
        send: ASGI's.
        messages: Takes frames apart; one for all connections of a node.
        high: Bytes that may wait before `paused` is called.
        paused: Called when more than `high` bytes begin to wait.
        resumed: Called when nothing waits any more, after `paused`.
        failed: Called once if the server refuses a message: the client is gone, or the server is at fault.
    """

    __slots__ = (
        "_context",
        "_failed",
        "_high",
        "_loop",
        "_messages",
        "_paused",
        "_queue",
        "_report_paused",
        "_report_resumed",
        "_send",
        "_task",
        "_waiting",
        "_wake",
        "over",
        "size",
    )

    def __init__(
        self,
        send: Send,
        messages: Messages,
        high: int,
        paused: Callable[[], None],
        resumed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._send = send
        self._messages = messages
        self._high = high
        self._report_paused = paused
        self._report_resumed = resumed
        self._failed = failed
        self._queue: deque[tuple[Any, int]] = deque()
        self.size = 0
        self.over = False
        self._paused = False
        self._waiting = False
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._wake: asyncio.Future[Awaitable[None]] = self._loop.create_future()
        self._task = self._loop.create_task(self._drive(), context=self._context)

    def write(self, data: bytes) -> None:
        """Send whole frames, behind everything that was written before."""
        if self.over:
            return
        messages = self._messages.of(data)
        if self._waiting:
            self._keep(messages)
            return
        for number, (message, size) in enumerate(messages):
            if not self._send_now(message, size):
                self._keep(messages[number + 1 :])
                return

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the server to take them."""
        return self.size

    async def end(self) -> None:
        """Send nothing more, and drop what waits."""
        self.over = True
        self._queue.clear()
        self._task.cancel()
        await asyncio.wait([self._task])

    # --- the way of most messages ---

    def _send_now(self, message: Any, size: int) -> bool:
        """Hand a message to the server; return False if it waits now, or the server has refused it."""
        loop, task = self._loop, self._task
        call = self._send(message).__await__()
        try:
            _enter_task(loop, task)
        except RuntimeError:  # called from a task, which never happens on the hot path
            self._wait_for(_Rest(call, None), size)
            return False
        try:
            awaited = self._context.run(next, call)
        except StopIteration:
            return True
        except Exception as error:
            self._fail(error)
            return False
        finally:
            _leave_task(loop, task)
        self._wait_for(_Rest(call, awaited), size)
        return False

    # --- a slow reader ---

    def _wait_for(self, rest: Awaitable[None], size: int) -> None:
        self._waiting = True
        self._queue.append((None, size))  # the message that is being sent
        self._count(size)
        self._wake.set_result(rest)

    def _keep(self, messages: list[tuple[Any, int]]) -> None:
        self._queue.extend(messages)
        self._count(sum(size for _, size in messages))

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self._high and not self._paused:
            self._paused = True
            self._report_paused()

    async def _drive(self) -> None:
        """Finish what had to wait, then send what was queued meanwhile; and again."""
        while True:
            rest = await self._wake
            self._wake = self._loop.create_future()
            try:
                await rest
                self._sent()
                while self._queue:
                    await self._send(self._queue[0][0])
                    self._sent()
            except Exception as error:
                self._fail(error)
                return
            self._waiting = False
            if self._paused:
                self._paused = False
                self._report_resumed()

    def _sent(self) -> None:
        if self._queue:
            self.size -= self._queue.popleft()[1]

    def _fail(self, error: Exception) -> None:
        if not self.over:
            self.over = True
            self._queue.clear()
            self._failed(error)


class _Rest:
    """The rest of a call that has begun: awaits what it waits for, then goes on with it."""

    __slots__ = ("_awaited", "_call")

    def __init__(self, call: Any, awaited: Any) -> None:
        self._call = call
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        call, awaited = self._call, self._awaited
        try:
            while True:
                try:
                    yield awaited
                except BaseException as error:  # the task is cancelled
                    if not hasattr(call, "throw"):
                        raise
                    awaited = call.throw(error)
                else:
                    awaited = next(call)
        except StopIteration:
            return
