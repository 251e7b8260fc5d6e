"""An echo on our own listener, for judges of the protocol: whole messages come back as they were.

Everything but what is said is the shipped transport: its handshake, both lanes for frames, its close and its writes.
Only binary messages, which Hubbub refuses with 1003, need a way of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from hubbub.server import Server
from hubbub.session import Session
from hubbub.settings import Settings
from hubbub.transports.websocket.frames import text_frame
from hubbub.transports.websocket.protocol import WebSocketProtocol

CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
"""All but 9, which measures speed, and 12 and 13, which are about compression: it is not offered."""
NUMBER = 247
"""How many these are."""


class EchoSession(Session):
    """Sends every text back instead of running it as a command."""

    def receive(self, payload: bytes, now: float) -> None:
        if not self.closing:
            self._node.fanout.send(self, text_frame(payload))


class EchoProtocol(WebSocketProtocol):
    """Takes binary messages too, and sends them back."""

    __slots__ = ("_binary",)
    _binary: list[bytes] | None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._binary = None

    def _receive_frame(self, frame: Frame, session: Session) -> None:
        if frame.opcode is Opcode.BINARY:
            self._binary = []
        elif frame.opcode is not Opcode.CONT or self._binary is None:
            super()._receive_frame(frame, session)
            return
        assert self._binary is not None
        self._binary.append(bytes(frame.data))
        if frame.fin:
            payload, self._binary = b"".join(self._binary), None
            self._node.send(session, Frame(Opcode.BINARY, payload).serialize(mask=False, extensions=[]))


@asynccontextmanager
async def echoing(**settings: Any) -> AsyncIterator[Server]:
    """Run a server whose WebSocket says everything back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubbub.server.WebSocketProtocol", EchoProtocol)
        patch.setattr("hubbub.transports.websocket.protocol.Session", EchoSession)
        async with Server(Settings(port=0, identify_timeout=60, **settings)) as server:
            yield server
