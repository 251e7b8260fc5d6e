"""Cheap clients by the thousand: one epoll loop over raw sockets.

The clients speak just enough WebSocket (RFC 6455) to get in; what they do then is up to each script: read and check,
stop reading, flood. They mask with the key zero, which changes nothing.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import itertools
import json
import resource
import select
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
REQUEST = (
    b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
now = time.perf_counter  # CLOCK_MONOTONIC: the same in all processes
gc.disable()  # the load shall be as even as it can


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """Return a whole frame as clients send it."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def command(do: str, number: int | None = None, **fields: Any) -> bytes:
    """Return the frame of a command; without a number it gets no reply."""
    head = {} if number is None else {"id": number}
    return frame(json.dumps({**head, "do": do, **fields}).encode())


def frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Cut server frames out of `data`; return them as (first byte, payload), and what is left."""
    found, at = [], 0
    while len(data) - at >= 2:
        size, body = data[at + 1], at + 2
        if size == 126:
            size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if body + size > len(data) or body > len(data):
            break
        found.append((data[at], data[body : body + size]))
        at = body + size
    return found, data[at:]


class Client:
    """One connection: gets in by itself, then hands what comes to `on_data`.

    Attributes:
        ready: When everything in `hello` was answered, on the clock of `now`; 0 before.
        ended: When the connection was lost or closed; 0 before.
        code: The close code that it was told; 1006 if it was cut without one.
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

    def __init__(self, swarm: Swarm, name: str, hello: list[bytes], request: bytes = REQUEST) -> None:
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
        """Never read again; only notice being cut."""
        self.swarm.watch(self, 0)

    def cut(self) -> None:
        """Go without a word (RST, so that no port stays behind in TIME_WAIT)."""
        if self.socket is not None and not self.ended:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.end(1006)

    def end(self, code: int) -> None:
        """Take note that the connection is gone."""
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
        """Take what the server says one by one: the way in, and for those who want to know each frame."""
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
        heard, self._rest = frames(data)
        for first, payload in heard:
            (self.on_frame or self.take)(first, payload)

    def take(self, first: int, payload: bytes) -> None:
        """Take one frame."""
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
        """Take what comes once it is in, at little cost: pings and close frames come alone, the rest is nothing."""
        if data[0] in (PING, CLOSE):
            for first, payload in frames(data)[0]:
                self.take(first, payload)

    def _is_ready(self) -> None:
        self.ready = now()
        if self.on_ready is not None:
            self.on_ready(self)


class Digest:
    """What a member has heard, as a checksum: those who heard the same in the same order have the same one.

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


class Swarm:
    """Clients of the server on `port`, in one loop."""

    def __init__(self, port: int) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.port = port
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], object]] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    # --- the loop ---

    def watch(self, client: Client, events: int) -> None:
        """Tell `client` of these events."""
        assert client.socket is not None
        self.watch_file(client.socket.fileno(), events, client.on_event)

    def watch_file(self, file: int, events: int, callback: Callable[[int], object]) -> None:
        """Call back with events of `file`."""
        if file in self._callbacks:
            self._epoll.modify(file, events)
        else:
            self._epoll.register(file, events)
        self._callbacks[file] = callback

    def forget_file(self, file: int) -> None:
        """Call back no more."""
        if self._callbacks.pop(file, None) is not None:
            self._epoll.unregister(file)

    def ignore(self, client: Client) -> None:
        """Tell `client` of nothing any more."""
        if client.socket is not None:
            self.forget_file(client.socket.fileno())

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Call once, `seconds` from now."""
        heapq.heappush(self._timers, (now() + seconds, next(self._numbers), call))

    def every(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Call again and again, without drifting; return what ends it."""
        running, due = True, now() + seconds

        def again() -> None:
            nonlocal due
            if running:
                call()
                due += seconds
                heapq.heappush(self._timers, (due, next(self._numbers), again))

        def stop() -> None:
            nonlocal running
            running = False

        heapq.heappush(self._timers, (due, next(self._numbers), again))
        return stop

    def run(self, seconds: float, until: Callable[[], object] = lambda: False) -> bool:
        """Run until the time is up or `until` is true; return whether it was."""
        end = now() + seconds
        while not until():
            moment = now()
            while self._timers and self._timers[0][0] <= moment:
                heapq.heappop(self._timers)[2]()
            if moment >= end:
                return False
            wait = min(end, self._timers[0][0] if self._timers else end) - now()
            for file, events in self._epoll.poll(max(0.0, wait), 1024):
                callback = self._callbacks.get(file)
                if callback is not None:
                    callback(events)
        return True

    # --- many clients ---

    def open(
        self,
        names: Iterator[str] | list[str],
        group: Callable[[str], str | None],
        *,
        at_once: int = 200,
        **options: Any,
    ) -> list[Client]:
        """Connect one client for each name, `at_once` at a time; each identifies as a guest and joins its group."""
        clients: list[Client] = []
        waiting = iter(list(names))
        open_now = 0

        def next_one() -> None:
            nonlocal open_now
            for name in itertools.islice(waiting, 1):
                open_now += 1
                client = Client(self, name, hello(name, group(name)))
                client.on_ready = client.on_end = done
                clients.append(client)
                client.connect(self.port, **options)

        def done(client: Client) -> None:
            nonlocal open_now
            open_now -= 1
            client.on_ready = client.on_end = None
            client.on_data = client.look
            next_one()

        for _ in range(at_once):
            next_one()
        if not self.run(120, lambda: not open_now):
            sys.exit("clients could not connect")
        lost = [client for client in clients if not client.ready]
        if lost:
            sys.exit(f"{len(lost)} of {len(clients)} clients were not let in: {lost[0].status} {lost[0].code}")
        return clients

    def settle(self, quiet: float = 1.0) -> None:
        """Run until nothing has come for `quiet` seconds."""
        while True:
            before = self.heard_at = now()
            ready = self._epoll.poll(quiet, 1024)
            if not ready:
                return
            for file, events in ready:
                callback = self._callbacks.get(file)
                if callback is not None:
                    callback(events)
            if now() - before > 60:
                sys.exit("it does not become quiet")

    def close(self, clients: list[Client]) -> None:
        """Cut them all."""
        for client in clients:
            client.cut()


def hello(name: str, group: str | None) -> list[bytes]:
    """Return the commands that identify a guest and take it into a group."""
    commands = [command("connect", 1, guest=name)]
    return commands if group is None else [*commands, command("join", 2, group=group)]
