"""One client of a `Swarm`: a raw socket that speaks just enough WebSocket (RFC 6455) to connect and identify."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from support.frames import CLOSE, GUEST_KEY, HANDSHAKE, PING, PONG, TEXT, command, frame, split

if TYPE_CHECKING:
    from support.swarm import Swarm

now = time.perf_counter  # CLOCK_MONOTONIC: the same in all processes


class Client:
    """One connection: connects and sends `hello` by itself, then hands the data that arrives to `on_data`.

    Attributes:
        ready: When everything in `hello` was answered, on the clock of `now`; 0 before.
        ended: When the connection was lost or closed; 0 before that.
        code: The close code that it received; 1006 if there was none.
        status: The status of the answer to the upgrade request.
    """

    __slots__ = (
        "_rest",
        "answers",
        "began",
        "code",
        "ended",
        "errors",
        "hello",
        "name",
        "on_data",
        "on_end",
        "on_frame",
        "on_ready",
        "ready",
        "request",
        "socket",
        "status",
        "swarm",
        "waiting",
    )

    def __init__(self, swarm: Swarm, name: str, hello: list[bytes], request: bytes = HANDSHAKE) -> None:
        self.swarm = swarm
        self.name = name
        self.hello = hello
        self.request = request
        self.waiting = len(hello)
        self.began = now()
        self.ready = self.ended = 0.0
        self.code = self.status = self.errors = 0
        self.on_data: Callable[[bytes], object] | None = None
        self.on_frame: Callable[[int, bytes], object] | None = None
        self.on_ready: Callable[[Client], object] | None = None
        self.on_end: Callable[[Client], object] | None = None
        self.socket: socket.socket | None = None
        self._rest = b""

    def connect(self, port: int, receive_buffer: int = 0) -> None:
        """Open the socket; the request leaves as soon as it is open."""
        self.began = now()
        made = self.socket = socket.socket()
        made.setblocking(False)
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            made.connect(("127.0.0.1", port))
        self.swarm.watch(self, select.EPOLLOUT)

    def send(self, data: bytes) -> int:
        """Send as much of `data` as the system takes; return how much that was."""
        if self.ended or self.socket is None:
            return 0
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.end(1006)
            return 0

    def stall(self) -> None:
        """Stop reading; only notice the end of the connection."""
        self.swarm.watch(self, 0)

    def cut(self) -> None:
        """Reset the connection (RST, so that no port stays in TIME_WAIT)."""
        if self.socket is not None and not self.ended:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.end(1006)

    def end(self, code: int) -> None:
        """Record that the connection has ended."""
        if not self.ended and self.socket is not None:
            self.ended = now()
            self.code = self.code or code
            self.swarm.ignore(self)
            self.socket.close()
            if self.on_end is not None:
                self.on_end(self)

    def on_event(self, events: int) -> None:
        """Called by the swarm."""
        assert self.socket is not None
        if not events & ~(select.EPOLLERR | select.EPOLLHUP):
            self.end(1006)
            return
        if events & select.EPOLLOUT:
            self.swarm.watch(self, select.EPOLLIN)
            self.send(self.request)
            return
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end(1006)
        elif self.on_data is not None and self.ready:
            self.on_data(data)
        else:
            self.hear(data)

    def hear(self, data: bytes) -> None:
        """Handle data frame by frame: while connecting, and later if `on_frame` is set."""
        data = self._rest + data
        if not self.status:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            self.status = int(head[9:12])
            self.send(b"".join(self.hello))
            if not self.hello:
                self._is_ready()
        heard, self._rest = split(data)
        for first, payload in heard:
            (self.on_frame or self.take)(first, payload)

    def take(self, first: int, payload: bytes) -> None:
        """Handle one frame."""
        if first == CLOSE:
            self.code = int.from_bytes(payload[:2], "big")
            self.send(frame(payload[:2], CLOSE))
        elif first == PING:
            self.send(frame(payload, PONG))
        elif first == TEXT and payload.startswith(b'{"id":'):
            self.errors += payload.startswith(b'"error"', payload.index(b",") + 1)
            self.waiting -= 1
            if not self.waiting and not self.ready:
                self._is_ready()

    def listen(self, on_frame: Callable[[int, bytes], object]) -> None:
        """Hand every frame from now on to `on_frame`, as (first byte, payload)."""
        self.on_data, self.on_frame = None, on_frame

    def look(self, data: bytes) -> None:
        """Handle data once connected, cheaply: pings and close frames arrive alone, and the rest is ignored."""
        if data[0] in (PING, CLOSE):
            for first, payload in split(data)[0]:
                self.take(first, payload)

    def _is_ready(self) -> None:
        self.ready = now()
        if self.on_ready is not None:
            self.on_ready(self)


class Digest:
    """A checksum of what a member received; two members that received the same in the same order have the same one.

    Pings are answered and left out: each member has its own. (No message here has their two bytes in it.)
    """

    __slots__ = ("_client", "_held", "crc", "size")

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = b""
        self.crc = self.size = 0
        client.on_data = self._take

    def _take(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        if data[-1] == PING:
            data, self._held = data[:-1], data[-1:]
        if _EMPTY_PING in data:
            data = data.replace(_EMPTY_PING, b"")
            self._client.send(frame(b"", PONG))
        self.crc = zlib.crc32(data, self.crc)
        self.size += len(data)


_EMPTY_PING = bytes((PING, 0))


def hello(name: str, group: str | None) -> list[bytes]:
    """Return the commands that identify a guest and join a group."""
    commands = [command("connect", 1, guest=name, guest_key=GUEST_KEY)]
    return commands if group is None else [*commands, command("join", 2, group=group)]
