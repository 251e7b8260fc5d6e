"""A load run: connect, join groups, post for a while, and check that every member received every message once."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from hubbub.cli.load.client import TIMEOUT, LoadClient, LoadError, Tally

CONCURRENCY = 100
"""Connections that are opened at the same time."""
POLLS = 200
"""How often to check within `TIMEOUT` whether the last messages have arrived."""
Progress: TypeAlias = Callable[[str, float, float], None]
"""Called as ``progress(phase, done, total)``."""


class Address(NamedTuple):
    """The parts of a server's address. `path` precedes ``/v1/connect``; `netloc` is sent as ``Host``."""

    host: str
    port: int
    tls: bool
    netloc: str
    path: str


def parse_address(url: str) -> Address:
    """Split the address of a server into its parts. Raises `LoadError` if it is not a valid one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise LoadError(f'"{url}" is not an address such as http://127.0.0.1:8000') from None
    tls = parts.scheme in {"https", "wss"}
    if parts.hostname is None or not (tls or parts.scheme in {"http", "ws"}):
        raise LoadError(f'"{url}" is not an address such as http://127.0.0.1:8000')
    return Address(
        parts.hostname, port or (443 if tls else 80), tls, parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
    )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The load. `size` is in bytes, `duration` in seconds, `rate` in posts per second of all posters, 0 unlimited."""

    connections: int
    groups: int
    posters: int
    size: int
    duration: float
    rate: float


class Report(msgspec.Struct, kw_only=True):
    """The result. Latencies are seconds, from sending a post to receiving it; 0 if nothing was received."""

    connections: int
    connects_per_second: float
    seconds: float
    posts: int
    posts_per_second: float
    deliveries: int
    deliveries_per_second: float
    latency_p50: float
    latency_p90: float
    latency_p99: float
    missing: int
    out_of_order: int
    errors: dict[str, int]
    server_cpu: float | None = None
    """CPU seconds that the server used while messages were posted and received; None if the server is not ours."""

    @property
    def passed(self) -> bool:
        """Whether no message was missing, duplicated, out of order or refused."""
        return not (self.missing or self.out_of_order or self.errors)


class Load:
    """One run against the server at `url`.

    Args:
        url: ``http://…`` or ``https://…``.
        plan: The load.
        identify: Returns the identity of the user with this id: ``{"guest": …}`` or ``{"token": …}``.
        progress: Called to report progress.
        cpu: Returns the CPU seconds that the server has used so far, or None if that is unknown.
    """

    def __init__(
        self,
        url: str,
        plan: Plan,
        identify: Callable[[str], dict[str, str]],
        progress: Progress,
        cpu: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._identify = identify
        self._progress = progress
        self._cpu = cpu
        self._tally = Tally()
        self._address = parse_address(url)
        prefix = f"bench-{secrets.token_hex(3)}"
        names = [f"{prefix}-{number}" for number in range(plan.groups)]
        self._clients = [
            LoadClient(f"{prefix}-user-{number}", names[number % plan.groups], self._tally, self._posted)
            for number in range(plan.connections)
        ]
        self._posting_until = 0.0
        self._padding = b"x" * max(0, plan.size - len(b'{"t":%.7f,"p":""}' % perf_counter()))

    async def run(self) -> Report:
        """Run all phases. Raises `LoadError` if no connection could be opened."""
        try:
            began = perf_counter()
            await self._all("connecting", self._open)
            connecting = perf_counter() - began
            if not self._clients:
                raise LoadError(f"no connection could be opened: {', '.join(self._tally.errors)}")
            await self._all("joining", LoadClient.join)
            # Each join was announced to the other members; the replies to these requests come after all notices.
            await self._all("joining", LoadClient.catch_up)
            began, cpu = perf_counter(), self._cpu()
            await self._post()
            posting = perf_counter() - began
            await self._settle()
            hearing, cpu_after = perf_counter() - began, self._cpu()
        finally:
            for client in self._clients:
                client.close()
        used = None if cpu is None or cpu_after is None else cpu_after - cpu
        return self._report(connecting, posting, hearing, used)

    # --- the phases ---

    async def _all(self, phase: str, work: Callable[[LoadClient], Awaitable[None]]) -> None:
        """Do `work` with every connection, some concurrently; count and drop those that fail."""
        limit, done = asyncio.Semaphore(CONCURRENCY), 0

        async def one(client: LoadClient) -> None:
            nonlocal done
            async with limit:
                try:
                    await work(client)
                except (LoadError, OSError) as error:
                    self._tally.errors[_text(error)] += 1
                    client.close()
            done += 1
            self._progress(phase, done, len(self._clients))

        await asyncio.gather(*map(one, self._clients))
        self._clients = [client for client in self._clients if not client.closing]

    async def _open(self, client: LoadClient) -> None:
        address = self._address
        await asyncio.get_running_loop().create_connection(
            lambda: client, address.host, address.port, ssl=address.tls or None
        )
        await client.open(address.netloc, address.path, self._identify(client.user_id))

    async def _post(self) -> None:
        posters = self._clients[: self._plan.posters]
        began = perf_counter()
        self._posting_until = began + self._plan.duration
        if not self._plan.rate:
            for poster in posters:
                poster.post(self._padding)
        done = 0
        while (passed := perf_counter() - began) < self._plan.duration and posters:
            if self._plan.rate:
                done = self._post_due(posters, done, int(passed * self._plan.rate))
            self._progress("posting", passed, self._plan.duration)
            await asyncio.sleep(0.001 if self._plan.rate else 0.05)

    def _post_due(self, posters: Sequence[LoadClient], done: int, due: int) -> int:
        for number in range(done, due):
            posters[number % len(posters)].post(self._padding)
        return due

    def _posted(self, client: LoadClient) -> None:
        """Handle the reply to a post: without a rate, post again."""
        if not self._plan.rate and not client.closing and perf_counter() < self._posting_until:
            client.post(self._padding)

    async def _settle(self) -> None:
        """Wait until all posts have been answered and received, or messages turn out to be missing."""
        members = list(self._clients)
        await self._all("waiting for the last messages", LoadClient.catch_up)
        for _ in range(POLLS):  # messages may take a moment from one node to another
            if not self._missing():
                break
            await asyncio.sleep(TIMEOUT / POLLS)
        self._clients = members

    # --- the result ---

    def _missing(self) -> int:
        """Return how many messages were not received, including those that lost connections did not receive."""
        return sum(max(0, self._tally.posts[client.group] - client.received) for client in self._clients)

    def _report(self, connecting: float, posting: float, hearing: float, cpu: float | None) -> Report:
        tally, posts = self._tally, self._tally.posts.total()
        duplicates = sum(max(0, client.received - tally.posts[client.group]) for client in self._clients)
        return Report(
            connections=len(self._clients),
            connects_per_second=len(self._clients) / connecting,
            seconds=posting,
            posts=posts,
            posts_per_second=posts / posting,
            deliveries=tally.deliveries,
            deliveries_per_second=tally.deliveries / hearing,
            latency_p50=_percentile(tally, 0.50),
            latency_p90=_percentile(tally, 0.90),
            latency_p99=_percentile(tally, 0.99),
            missing=self._missing(),
            out_of_order=max(tally.out_of_order, duplicates),
            errors=dict(tally.errors),
            server_cpu=cpu,
        )


def _percentile(tally: Tally, share: float) -> float:
    """Return the seconds within which `share` of the messages were received (nearest rank)."""
    left = share * tally.latencies.total()
    for micros in sorted(tally.latencies):
        left -= tally.latencies[micros]
        if left <= 0:
            return micros / 1e6
    return 0.0


def _text(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the host does not exist"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
