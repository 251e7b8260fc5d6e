"""Bytes that one HTTP connection has sent and that are not parsed yet, handed out one request at a time. Pure.

A client may send thousands of pipelined requests in one packet (RFC 9112, section 9.3.2). Parsing them all at once
would make thousands of pending requests, each many times as large as its bytes. So the parser gets the bytes in pieces
that hold at most a few requests, and the next piece only when the answer to the last one has been written.
"""

from __future__ import annotations

END_OF_HEAD = b"\r\n\r\n"
"""What ends the head of a request (RFC 9112, section 2.1)."""

SHORTEST_HEAD = 5
"""Bytes before the first possible end of a head, so that empty lines in front of a request are not taken one by one."""

BODY_PIECE = 16_384
"""Most bytes of a body in one piece, so that a body which nobody reads stops being parsed soon."""

SHORTEST_BODY_PIECE = 64
"""Least bytes of a body in one piece, if there are so many: a body may consist of ends of heads."""


class HeldBytes:
    """What one connection has sent and the parser has not seen."""

    __slots__ = ("_data", "_start")

    def __init__(self) -> None:
        self._data = b""
        self._start = 0

    def __len__(self) -> int:
        """Return how many bytes are held."""
        return len(self._data) - self._start

    def add(self, data: bytes) -> None:
        """Hold `data` behind what is held already."""
        self._data = self._data[self._start :] + data if len(self) else data
        self._start = 0

    def take(self, *, body: bool) -> bytes:
        """Return the next piece: to the end of the next head at most.

        Args:
            body: Whether the parser is inside a body, in which an end of a head may be part of what is sent.
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
        """Return everything that is held, and hold nothing any more."""
        rest = self._data[self._start :]
        self.clear()
        return rest

    def clear(self) -> None:
        """Forget what is held."""
        self._data, self._start = b"", 0


class HttpMemory:
    """What the HTTP connections of a process hold together: bytes not parsed yet, and bodies not read yet.

    Args:
        most: Bytes from which on a connection that holds more than `FAIR_SHARE` is given up.
    """

    def __init__(self, most: int = 33_554_432) -> None:
        self.bytes = 0
        self._most = most

    def change(self, before: int, after: int) -> None:
        """Count that a connection which held `before` bytes now holds `after`."""
        self.bytes += after - before

    def too_much(self, held: int) -> bool:
        """Return whether a connection that holds `held` bytes must give them up."""
        return self.bytes > self._most and held > FAIR_SHARE


FAIR_SHARE = 4096
"""Bytes that every HTTP connection may hold, however much the others do."""
