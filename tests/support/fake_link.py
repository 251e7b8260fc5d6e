"""A session without a socket: the client sends commands, and what the server writes is collected."""

from __future__ import annotations

import json
from typing import Any

from hubbub.dialects.base import Wire
from hubbub.dialects.v1 import V1
from hubbub.errors import Close
from hubbub.node import Node
from hubbub.session import Session

LINES = Wire(V1(), lambda payload: payload + b"\n")
"""Dialect v1, a line for each frame."""


class FakeLink:
    """One connection of `node`; the `Link` of its session."""

    def __init__(self, connection_id: str, node: Node, wire: Wire = LINES) -> None:
        self.node = node
        self.written = b""
        self.closed: list[Close] = []
        self.pings = 0
        self.aborted = False
        self.born = node.now()
        self.session = Session(connection_id, wire, self.write, self, node, self.born)
        node.admit(self.session)

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self, code: Close) -> None:
        self.closed.append(code)

    def ping(self) -> None:
        self.pings += 1

    def abort(self) -> None:
        self.aborted = True

    def say(self, after: float = 0.0, **command: Any) -> None:
        """Send a command, `after` seconds from the beginning."""
        self.session.heard = True
        self.session.receive(json.dumps(command).encode(), self.born + after)

    def heard(self) -> list[dict[str, Any]]:
        """Return every frame written so far."""
        return [json.loads(line) for line in self.written.splitlines()]


async def turn(node: Node) -> None:
    """Let the tick end: what was to be written has been written."""
    done = node.loop.create_future()
    node.after_tick(lambda: done.set_result(None))
    await done
