"""Cheap clients by the thousand: one epoll loop over raw sockets.

What the clients do once they are connected is up to each script: read and check, stop reading, flood.
"""

from __future__ import annotations

import gc
import heapq
import itertools
import resource
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any

from support.frames import CLOSE as CLOSE
from support.frames import HANDSHAKE
from support.frames import PING as PING
from support.frames import PONG as PONG
from support.frames import TEXT as TEXT
from support.frames import command as command
from support.frames import frame as frame
from support.swarm_client import Client as Client
from support.swarm_client import Digest as Digest
from support.swarm_client import hello as hello
from support.swarm_client import now as now


class Swarm:
    """Clients of the server on `port`, in one loop."""

    def __init__(self, port: int) -> None:
        gc.disable()  # so that the load is even
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.port = port
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], object]] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    # --- the loop ---

    def watch(self, client: Client, events: int) -> None:
        """Tell `client` about these events of its socket."""
        assert client.socket is not None
        self.watch_file(client.socket.fileno(), events, client.on_event)

    def watch_file(self, file: int, events: int, callback: Callable[[int], object]) -> None:
        """Call back with the events of a file descriptor."""
        if file in self._callbacks:
            self._epoll.modify(file, events)
        else:
            self._epoll.register(file, events)
        self._callbacks[file] = callback

    def forget_file(self, file: int) -> None:
        """Stop calling back."""
        if self._callbacks.pop(file, None) is not None:
            self._epoll.unregister(file)

    def ignore(self, client: Client) -> None:
        """Tell `client` about no more events."""
        if client.socket is not None:
            self.forget_file(client.socket.fileno())

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Call once, `seconds` from now."""
        heapq.heappush(self._timers, (now() + seconds, next(self._numbers), call))

    def every(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Call at this interval, without drift; return a function that stops it."""
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
        request: bytes = HANDSHAKE,
        **options: Any,
    ) -> list[Client]:
        """Connect one client for each name, `at_once` at a time; each identifies as a guest and joins its group.

        `request` is their opening handshake, for other paths than that of a server.
        """
        clients: list[Client] = []
        waiting = iter(list(names))
        open_now = 0

        def next_one() -> None:
            nonlocal open_now
            for name in itertools.islice(waiting, 1):
                open_now += 1
                client = Client(self, name, hello(name, group(name)), request)
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
            sys.exit(f"{len(lost)} of {len(clients)} clients could not join: {lost[0].status} {lost[0].code}")
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
                sys.exit("the clients keep receiving data after 60 s")

    def close(self, clients: list[Client]) -> None:
        """Cut them all."""
        for client in clients:
            client.cut()
