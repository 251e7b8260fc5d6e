"""One connection of a load run: a small WebSocket client (RFC 6455) that counts and checks what it hears.

It is quick rather than careful: it trusts the server's frames to be well formed, and masks its own with the key zero,
which leaves them as they are. For programs there is `hubbub.client`.
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

ASKED, POSTED = 0, 1
"""The ids of commands: one that somebody waits for, and a post."""
PATIENCE = 10.0
"""Seconds that an answer may take."""

_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
_NO_MASK = bytes(4)


class LoadError(HubbubError):
    """A connection of a load run could not be opened, was lost, or got an error for an answer."""


class Problem(msgspec.Struct):
    """The ``error`` of a reply."""

    code: str
    message: str


class Stamp(msgspec.Struct, gc=False):
    """What a post of a load run carries: when it was sent, by `perf_counter`. The rest is padding."""

    t: float


class Heard(msgspec.Struct, gc=False):
    """Any frame from the server, as far as a load run cares."""

    id: int | None = None
    error: Problem | None = None
    type: str | None = None
    seq: int = 0
    message: Stamp | str | None = None


_decode = msgspec.json.Decoder(Heard).decode


@dataclass
class Tally:
    """What all connections of a load run counted together."""

    posts: Counter[str] = field(default_factory=Counter)
    """Posts that the server accepted, by group."""
    deliveries: int = 0
    """Messages heard."""
    out_of_order: int = 0
    """Messages whose ``seq`` does not follow the one before: something is missing, doubled or in the wrong place."""
    latencies: Counter[int] = field(default_factory=Counter)
    """Microseconds from sending a post to hearing it, and how often."""
    errors: Counter[str] = field(default_factory=Counter)
    """What went wrong, and how often."""


class LoadClient(asyncio.Protocol):
    """One connection. Made by `asyncio.loop.create_connection`; then `open`, `join`, `post`.

    Args:
        user_id: Who this is.
        group: What to join.
        tally: Where to count.
        on_posted: Called with this client when the reply to a post has come.
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
        self._reply: asyncio.Future[Heard] | None = None
        self._seq: int | None = None
        self._close_code: int | None = None

    # --- what a load run does with it ---

    async def open(self, host: str, path: str, identify: dict[str, str]) -> None:
        """Do the opening handshake and say who this is: ``{"guest": …}`` or ``{"token": …}``. Raises `LoadError`."""
        request = (
            f"GET {path}/v1/connect HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: hubbub.v1\r\n\r\n"
        )
        await self._answer_to(request.encode())
        await self._ask(do="connect", **identify)

    async def join(self) -> None:
        """Enter the group. Raises `LoadError`."""
        await self._ask(do="join", group=self.group)

    async def catch_up(self) -> None:
        """Wait until everything that the server has sent by now has been heard. Raises `LoadError`."""
        await self._ask(do="groups", limit=1)

    def post(self, padding: bytes) -> None:
        """Send a message of now to the group, without waiting."""
        message = b'{"t":%.7f,"p":"%b"}' % (perf_counter(), padding)
        command = b'{"id":%d,"do":"post","to":"%b","message":%b}' % (POSTED, self.group.encode(), message)
        self._write(_frame(_TEXT, command))

    def close(self) -> None:
        """Cut the connection."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    async def _ask(self, **command: Any) -> None:
        heard = await self._answer_to(_frame(_TEXT, msgspec.json.encode({"id": ASKED, **command})))
        if heard.error is not None:
            raise LoadError(f"{heard.error.code}: {heard.error.message}")

    async def _answer_to(self, data: bytes) -> Heard:
        if self.closing:
            raise LoadError("the connection is gone")
        self._reply = asyncio.get_running_loop().create_future()
        self._write(data)
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reply
        except TimeoutError:
            raise LoadError(f"no answer within {PATIENCE:.0f} seconds") from None

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Cut out the frames that are whole, and keep the rest for later."""
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
            self._hear(data[position], data[body : body + length], now)
            position = body + length
        self._rest = data[position:]

    def connection_lost(self, error: Exception | None) -> None:
        """Count it, unless it was us who closed; whoever waits is told."""
        text = "connection lost" if self._close_code is None else f"connection closed with {self._close_code}"
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(LoadError(text))
        elif not self.closing:
            self._tally.errors[text] += 1
        self.closing = True

    # --- what comes ---

    def _read_response(self, data: bytes) -> int:
        """Read the answer to the handshake; return how much of `data` it is, 0 if it is not whole."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or self._reply is None:
            return 0
        status = data.partition(b"\r\n")[0].decode("latin-1").removeprefix("HTTP/1.1 ")
        self._upgraded = status.startswith("101 ")
        if self._upgraded:
            self._reply.set_result(Heard())
        else:
            self._reply.set_exception(LoadError(f"the server answered {status}"))
            self.close()
        return end

    def _hear(self, first: int, payload: bytes, now: float) -> None:
        if first == _TEXT:
            heard = _decode(payload)
            if heard.type == "message":
                self._hear_message(heard, now)
            elif heard.id == POSTED:
                self._hear_posted(heard)
            elif heard.id == ASKED and self._reply is not None and not self._reply.done():
                self._reply.set_result(heard)
        elif first == _PING:
            self._write(_frame(_PONG, payload))
        elif first == _CLOSE and self._transport is not None:
            self._close_code = int.from_bytes(payload[:2], "big")
            self._transport.close()

    def _hear_message(self, heard: Heard, now: float) -> None:
        tally = self._tally
        tally.deliveries += 1
        self.received += 1
        if self._seq is not None and heard.seq != self._seq + 1:
            tally.out_of_order += 1
        self._seq = heard.seq
        if type(heard.message) is Stamp:
            tally.latencies[int((now - heard.message.t) * 1e6)] += 1

    def _hear_posted(self, heard: Heard) -> None:
        if heard.error is None:
            self._tally.posts[self.group] += 1
        else:
            self._tally.errors[heard.error.code] += 1
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
