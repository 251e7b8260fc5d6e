"""Live lists over HTTP: an answer that goes on, as server-sent events: the whole page, then what changes."""

from __future__ import annotations

import asyncio
import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hubbub.auth.identity import Identity
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Event, Watch
from hubbub.node import Node
from hubbub.transports.http.unread_answers import READ_TIMEOUT
from hubbub.transports.refusal import server_full
from hubbub.watching.view import NOT_STARTED, Frames, View

SSE = "text/event-stream"

LOOK = 0.25
"""Seconds between two looks whether the token has expired or the node stops."""


def wants_events(request: Request) -> bool:
    """Whether the client asks for server-sent events."""
    accepted = request.headers.get("accept", "").split(",")
    return SSE in [part.partition(";")[0].strip().lower() for part in accepted]


class SseWire:
    """Encodes events for these answers: see `hubbub.lanes.EventEncoder`. The number of the watch is left out."""

    def event(self, event: Event) -> bytes:
        """Return one server-sent event."""
        fields = msgspec.to_builtins(event)
        fields.pop("watch", None)
        return b"data: " + msgspec.json.encode(fields) + b"\n\n"


WIRE = SseWire()


class StreamWatcher:
    """The watch of one answer: see `hubbub.watching.view.Watcher`. At most one event waits to be written."""

    def __init__(self) -> None:
        self.number = 1
        self.view: View | None = None
        self.seen = NOT_STARTED
        self.behind = False
        self.changed = asyncio.Event()
        self.waiting: bytes | None = None
        self.closed = False

    @property
    def slow(self) -> bool:
        """Whether the last event has not been written yet."""
        return self.waiting is not None

    def send(self, frames: Frames) -> bool:
        """Let the answer write the event."""
        if self.waiting is not None:
            return False
        self.waiting = frames.encode(WIRE, self.number)
        self.changed.set()
        return True

    def end(self, error: CommandError) -> None:
        """Do nothing: the rights of an answer never change."""

    def close(self) -> None:
        """End the answer: the client has gone, or its user was disconnected."""
        self.closed = True
        self.changed.set()


async def live_list(node: Node, identity: Identity, command: Watch) -> Response:
    """Return the answer that watches.

    Raises:
        CommandError: See `hubbub.watching.session_watches`; ``UNAVAILABLE``: the server has too many connections;
            ``RATE_LIMITED``: the user has.
    """
    if node.full:
        raise server_full()
    user, most = identity.user_id, node.settings.max_connections_per_user
    if node.streams.of(user) + len(node.fanout.users.get(user, ())) >= most:
        text = f"A user may have at most {most} connections, live lists over HTTP included: end one first."
        raise CommandError(ErrorCode.RATE_LIMITED, text)
    key, watcher = node.watch_rules.key(identity, command), StreamWatcher()
    node.streams.add(user, watcher.close)
    try:
        page = node.watch_rules.reply(identity, key, watcher.number, await node.views.open(key, watcher))
    except BaseException:
        node.streams.remove(user, watcher.close)
        raise
    first = msgspec.to_builtins(page)
    del first["watch"]
    answer = b"data: " + msgspec.json.encode({"type": command.what, **first}) + b"\n\n"
    return LiveAnswer(node, identity, watcher, answer)


class LiveAnswer(Response):
    """An answer that goes on until the client goes, its token expires or the node stops.

    Args:
        node: Has the views.
        identity: Whose token it was.
        watcher: What is written.
        first: The event with the whole page.
    """

    def __init__(self, node: Node, identity: Identity, watcher: StreamWatcher, first: bytes) -> None:
        headers = {"Content-Type": SSE, "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._node = node
        self._identity = identity
        self._watcher = watcher
        self._first = first
        self._expires = None if identity.expires is None else node.now() + identity.expires - time.time()
        self._quiet_since = node.now()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the events. A client that does not read is cut after `READ_TIMEOUT`, if the server has not cut it."""
        watch = asyncio.ensure_future(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._write(send, self._first)
            while not self._ended():
                if event := await self._next():
                    await self._write(send, event)
                    self._watcher.waiting = None
            await send({"type": "http.response.body", "body": b""})
        finally:
            watch.cancel()
            self._node.views.leave(self._watcher)
            self._node.streams.remove(self._identity.user_id, self._watcher.close)

    def _ended(self) -> bool:
        expired = self._expires is not None and self._node.now() >= self._expires
        return self._watcher.closed or expired or self._node.draining

    async def _next(self) -> bytes | None:
        """Wait for the next event for a moment; return it, or a comment if there was none for the interval of pings."""
        watcher, node = self._watcher, self._node
        try:
            async with asyncio.timeout(LOOK):
                await watcher.changed.wait()
            watcher.changed.clear()
            return watcher.waiting
        except TimeoutError:
            return b":\n\n" if node.now() - self._quiet_since >= node.settings.ping_interval else None

    async def _write(self, send: Send, data: bytes) -> None:
        async with asyncio.timeout(READ_TIMEOUT):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        self._quiet_since = self._node.now()

    async def _watch(self, receive: Receive) -> None:
        """Note when the client has gone. Our own server says by an empty message that it sends nothing more."""
        while (await receive()).get("more_body"):
            pass
        await receive()
        self._watcher.close()
