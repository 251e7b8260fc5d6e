"""Bytes that one HTTP connection has sent and that are not parsed yet, returned one request at a time. Pure.

A client may send thousands of pipelined requests in one packet (RFC 9112, section 9.3.2). Parsing them all at once
would create thousands of pending requests, each many times as large as its bytes. So the parser gets the bytes in
pieces that hold at most a few requests, and the next piece only when the answer to the last one has been written.
"""

from __future__ import annotations

END_OF_HEAD = b"\r\n\r\n"
"""The end of a request's head (RFC 9112, section 2.1)."""

SHORTEST_HEAD = 5
"""Bytes before the first possible end of a head, so that empty lines before a request are not returned one by one."""

BODY_PIECE = 16_384
"""Most bytes of a body in one piece, so that the parser soon stops at a body that the app does not read."""

SHORTEST_BODY_PIECE = 64
"""Fewest bytes of a body in one piece, if that many are held: a body may contain nothing but ends of heads."""


class HeldBytes:
    """The bytes that one connection has sent and the parser has not seen."""

    __slots__ = ("_data", "_start")

    def __init__(self) -> None:
        self._data = b""
        self._start = 0

    def __len__(self) -> int:
        """Return how many bytes are held."""
        return len(self._data) - self._start

    def add(self, data: bytes) -> None:
        """Append `data`."""
        self._data = self._data[self._start :] + data if len(self) else data
        self._start = 0

    def take(self, *, body: bool) -> bytes:
        """Remove and return the next piece, which ends with the next head at the latest.

        Args:
            body: Whether the parser is inside a body, which may contain what looks like the end of a head.
        """
        start = self._start
        found = self._data.find(END_OF_HEAD, start + (SHORTEST_BODY_PIECE if body else SHORTEST_HEAD))
        end = len(self._data) if found < 0 else found + len(END_OF_HEAD)
        if body:
            end = min(end, start + BODY_PIECE)
        piece = self._data[start:end]
        self._start = end
        if end == len(self._data):
            self.clear()
        return piece

    def rest(self) -> bytes:
        """Remove and return everything that is held."""
        rest = self._data[self._start :]
        self.clear()
        return rest

    def clear(self) -> None:
        """Drop everything that is held."""
        self._data, self._start = b"", 0


HEADER = 160
"""Bytes of the objects that hold a parsed header, beyond its text."""

FAIR_SHARE = 4096
"""Bytes that every HTTP connection may hold, however much the others do."""


class HttpMemory:
    """What the HTTP connections of a process hold together: bytes not parsed yet, heads, and bodies not read yet.

    Args:
        most: Bytes. While more are held, connections that hold more than `FAIR_SHARE` have to give them up.
    """

    __slots__ = ("bytes", "most")

    def __init__(self, most: int = 33_554_432) -> None:
        self.bytes = 0
        self.most = most


class MemoryShare:
    """What one connection holds of an `HttpMemory`."""

    __slots__ = ("_counted", "_memory")

    def __init__(self, memory: HttpMemory) -> None:
        self._memory = memory
        self._counted = 0

    def count(self, held: int) -> None:
        """Count that the connection holds `held` bytes now."""
        self._memory.bytes += held - self._counted
        self._counted = held

    @property
    def too_much(self) -> bool:
        """Whether the connection has to give up what it holds."""
        return self._memory.bytes > self._memory.most and self._counted > FAIR_SHARE
