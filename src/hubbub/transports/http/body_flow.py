"""How much of a request's body the parser reads ahead of the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class BodyFlow(FlowControl):
    """uvicorn's flow control, which reports when the app has taken a body, so that more of it can be parsed.

    Args:
        transport: The connection.
        parse: Called when more can be parsed. Whether more is read from the socket is not decided here.
    """

    def __init__(self, transport: asyncio.Transport, parse: Callable[[], None]) -> None:
        super().__init__(transport)
        self._parse: Callable[[], None] | None = parse

    def detach(self) -> None:
        """Break the cycle of references with the connection, which is lost or has become another protocol's."""
        self._parse = None

    def resume_reading(self) -> None:
        """Let the parser go on. uvicorn calls this when the app has taken what was parsed."""
        if self.read_paused:
            self.read_paused = False
            if self._parse is not None:
                self._parse()
