"""A TCP proxy with the faults of networks: connections end cleanly, by reset or within a frame, or go silent.

It counts what it did to connections that were in use, so that a test can tell whether anything was put to the proof.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter

FAULTS = ("rst", "fin", "mid-frame", "blackhole", "unanswered")


class _Link:
    """One connection through the proxy, both halves."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self.far = far
        self.dark = False
        self.mute = False  # the server hears, and the client does not
        self.cut_after: int | None = None  # bytes that still reach the client

    @property
    def struck(self) -> bool:
        """Whether something is done to it already."""
        return self.dark or self.mute or self.cut_after is not None


class FaultyProxy:
    """Listens on `url` and passes everything on to a server.

    Attributes:
        target: Host and port of the server; of another one from the next connection on, if it is changed.
        faults: How many connections were struck, by fault.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.faults: Counter[str] = Counter()
        self.url = ""

    async def __aenter__(self) -> FaultyProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in list(self._links):
            self._end(link)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def strike(self, fault: str, most: int | None = None) -> None:
        """Do `fault` to the connections that are open now; to `most` of them, by chance, if that is given."""
        whole = [link for link in self._links if not link.struck]
        for link in whole if most is None else random.sample(whole, min(most, len(whole))):
            self.faults[fault] += 1
            if fault == "blackhole":
                link.dark = True
            elif fault == "unanswered":
                link.mute = True
            elif fault == "mid-frame":
                link.cut_after = 5  # of whatever comes next
            else:
                self._end(link, reset=fault == "rst")

    def clear(self) -> None:
        """Cut what is dark, mute or waits to be cut, as a client's own time limits would after a while."""
        for link in [link for link in self._links if link.struck]:
            self._end(link, reset=True)

    async def _accept(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            try:
                far_reader, far = await asyncio.open_connection(*self.target)
            except OSError:  # as if we were the server
                near.transport.abort()
                return
            link = _Link(near, far)
            self._links.add(link)
            back = asyncio.create_task(self._pump(link, far_reader, near, towards_client=True))
            await self._pump(link, reader, far, towards_client=False)
            await back
            for writer in (near, far):
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        finally:
            self._tasks.discard(task)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, towards_client: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if link.dark or (link.mute and towards_client):
                    continue
                if towards_client and link.cut_after is not None:
                    writer.write(data[: link.cut_after])
                    await writer.drain()
                    break
                writer.write(data)
                await writer.drain()
        self._end(link)

    def _end(self, link: _Link, *, reset: bool = False) -> None:
        self._links.discard(link)
        for writer in (link.near, link.far):
            if reset:
                linger = struct.pack("ii", 1, 0)
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            else:
                writer.close()
