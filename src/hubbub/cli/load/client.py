"""One connection of a load run: a small WebSocket client (RFC 6455) that counts and checks what it receives.

It is fast rather than careful: it trusts the server's frames to be well formed, and masks its own with the key zero,
which leaves them unchanged. Programs should use `hubbub.client`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

import msgspec

from hubbub.errors import HubbubError

REQUEST_ID, POST_ID = 0, 1
"""The ids of commands: a request whose reply is awaited, and a post."""
TIMEOUT = 10.0
"""Seconds that a reply may take."""

_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
_NO_MASK = bytes(4)


class LoadError(HubbubError):
    """A connection of a load run could not be opened, was lost, or received an error."""


class Problem(msgspec.Struct):
    """The ``error`` of a reply."""

    code: str
    message: str


class Stamp(msgspec.Struct, gc=False):
    """The message of a post: when it was sent, by `perf_counter`. The rest of the message is padding."""

    t: float


class ServerFrame(msgspec.Struct, gc=False):
    """The fields that a load run needs of any frame from the server."""

    id: int | None = None
    error: Problem | None = None
    type: str | None = None
    seq: int = 0
    message: Stamp | str | None = None


_decode = msgspec.json.Decoder(ServerFrame).decode


@dataclass
class Tally:
    """The counts of all connections of a load run together."""

    posts: Counter[str] = field(default_factory=Counter)
    """Posts that the server accepted, by group."""
    deliveries: int = 0
    """Messages received."""
    out_of_order: int = 0
    """Messages whose ``seq`` is not the next one: a message is missing, duplicated or out of order."""
    latencies: Counter[int] = field(default_factory=Counter)
    """Microseconds from sending a post to receiving it, and how often."""
    errors: Counter[str] = field(default_factory=Counter)
    """Error texts, and how often each occurred."""


class LoadClient(asyncio.Protocol):
    """One connection. Made by `asyncio.loop.create_connection`; then `open`, `join`, `post`.

    Args:
        user_id: The user to connect as.
        group: The group to join.
        tally: Where to count.
        on_posted: Called with this client when the reply to a post has been received.
    """

    def __init__(self, user_id: str, group: str, tally: Tally, on_posted: Callable[[LoadClient], None]) -> None:
        self.user_id = user_id
        self.group = group
        self.received = 0
        self.closing = False
        self._tally = tally
        self._on_posted = on_posted
        self._transport: asyncio.Transport | None = None
        self._upgraded = False
        self._rest = b""
        self._reply: asyncio.Future[ServerFrame] | None = None
        self._seq: int | None = None
        self._close_code: int | None = None

    # --- what a load run calls ---

    async def open(self, host: str, path: str, identify: dict[str, str]) -> None:
        """Do the opening handshake and identify as ``{"guest": …}`` or ``{"token": …}``. Raises `LoadError`."""
        request = (
            f"GET {path}/v1/connect HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: hubbub.v1\r\n\r\n"
        )
        await self._reply_to(request.encode())
        await self._request(do="connect", **identify)

    async def join(self) -> None:
        """Join the group. Raises `LoadError`."""
        await self._request(do="join", group=self.group)

    async def catch_up(self) -> None:
        """Wait until everything that the server has sent so far has been received. Raises `LoadError`."""
        await self._request(do="groups", limit=1)

    def post(self, padding: bytes) -> None:
        """Post a message with the current time to the group, without waiting."""
        message = b'{"t":%.7f,"p":"%b"}' % (perf_counter(), padding)
        command = b'{"id":%d,"do":"post","to":"%b","message":%b}' % (POST_ID, self.group.encode(), message)
        self._write(_frame(_TEXT, command))

    def close(self) -> None:
        """Abort the connection."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    async def _request(self, **command: Any) -> None:
        frame = await self._reply_to(_frame(_TEXT, msgspec.json.encode({"id": REQUEST_ID, **command})))
        if frame.error is not None:
            raise LoadError(f"{frame.error.code}: {frame.error.message}")

    async def _reply_to(self, data: bytes) -> ServerFrame:
        if self.closing:
            raise LoadError("the connection was lost")
        self._reply = asyncio.get_running_loop().create_future()
        self._write(data)
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._reply
        except TimeoutError:
            raise LoadError(f"no reply within {TIMEOUT:.0f} seconds") from None

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Handle the complete frames, and keep the rest for later."""
        data = self._rest + data if self._rest else data
        position = 0 if self._upgraded else self._read_response(data)
        now, end = perf_counter(), len(data)
        while self._upgraded and end - position >= 2:
            length, body = data[position + 1], position + 2
            if length == 126:
                body += 2
                length = int.from_bytes(data[position + 2 : body], "big")
            elif length == 127:
                body += 8
                length = int.from_bytes(data[position + 2 : body], "big")
            if body + length > end:
                break
            self._receive(data[position], data[body : body + length], now)
            position = body + length
        self._rest = data[position:]

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that waits for a reply; otherwise count an error, unless we closed the connection."""
        text = "connection lost" if self._close_code is None else f"connection closed with {self._close_code}"
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(LoadError(text))
        elif not self.closing:
            self._tally.errors[text] += 1
        self.closing = True

    # --- incoming frames ---

    def _read_response(self, data: bytes) -> int:
        """Read the response to the handshake; return its length in `data`, 0 if it is incomplete."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or self._reply is None:
            return 0
        status = data.partition(b"\r\n")[0].decode("latin-1").removeprefix("HTTP/1.1 ")
        self._upgraded = status.startswith("101 ")
        if self._upgraded:
            self._reply.set_result(ServerFrame())
        else:
            self._reply.set_exception(LoadError(f"the server answered {status}"))
            self.close()
        return end

    def _receive(self, first: int, payload: bytes, now: float) -> None:
        if first == _TEXT:
            frame = _decode(payload)
            if frame.type == "message":
                self._receive_message(frame, now)
            elif frame.id == POST_ID:
                self._receive_post_reply(frame)
            elif frame.id == REQUEST_ID and self._reply is not None and not self._reply.done():
                self._reply.set_result(frame)
        elif first == _PING:
            self._write(_frame(_PONG, payload))
        elif first == _CLOSE and self._transport is not None:
            self._close_code = int.from_bytes(payload[:2], "big")
            self._transport.close()

    def _receive_message(self, frame: ServerFrame, now: float) -> None:
        tally = self._tally
        tally.deliveries += 1
        self.received += 1
        if self._seq is not None and frame.seq != self._seq + 1:
            tally.out_of_order += 1
        self._seq = frame.seq
        if type(frame.message) is Stamp:
            tally.latencies[int((now - frame.message.t) * 1e6)] += 1

    def _receive_post_reply(self, frame: ServerFrame) -> None:
        if frame.error is None:
            self._tally.posts[self.group] += 1
        else:
            self._tally.errors[frame.error.code] += 1
        self._on_posted(self)


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65_536:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    return head + _NO_MASK + payload
