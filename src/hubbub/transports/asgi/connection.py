"""One WebSocket through plain ASGI: a frame a message, in both directions. The `Link` of its `Session`.

What the server keeps to itself is its own to limit: the size of a frame while it is received, control frames, pings and
silent clients, the time of a closing handshake. docs/security.md lists what is limited where.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from hubbub.auth.identity import Identity
from hubbub.dialects.base import Wire
from hubbub.errors import CLOSE_RULES, Close
from hubbub.node import Node
from hubbub.session import Session
from hubbub.session_lifetime import SLOW_READER_CLOSE_TIMEOUT
from hubbub.time_budget import FRAME
from hubbub.transports.asgi.messages import Messages, close_frame
from hubbub.transports.asgi.outgoing import Outgoing, Send
from hubbub.transports.base import Caller
from hubbub.transports.websocket.backlog import RELAXED
from hubbub.transports.websocket.slow_reader import SlowReader

Receive = Callable[[], Awaitable[Any]]

log = logging.getLogger("hubbub.asgi")


class AsgiConnection:
    """One connection that was accepted.

    Args:
        node: What it belongs to.
        wire: What is spoken on it.
        receive: ASGI's.
        send: ASGI's.
        messages: Takes frames apart; one for all connections of the node.
    """

    __slots__ = (
        "_aborted",
        "_closed_with",
        "_ended_with",
        "_node",
        "_outgoing",
        "_receive",
        "_send",
        "_session",
        "_slow_reader",
        "_task",
    )

    def __init__(self, node: Node, wire: Wire, receive: Receive, send: Send, messages: Messages) -> None:
        self._node = node
        self._receive = receive
        self._send = send
        self._slow_reader: SlowReader | None = None
        self._aborted = False
        self._closed_with: Close | None = None
        self._ended_with: int | None = None  # what the client closed with
        high = min(RELAXED, node.settings.max_queue)
        self._outgoing = Outgoing(send, messages, high, self._pause_writing, self._resume_writing, self._failed)
        self._session = Session(secrets.token_urlsafe(9), wire, self._outgoing.write, self, node, node.now())
        task = asyncio.current_task()
        assert task is not None
        self._task = task

    async def serve(self, caller: Caller, identity: Identity | None) -> None:
        """Serve the connection until it is lost.

        Args:
            caller: The app's call that has brought it.
            identity: Who the token of the handshake has identified, if there was one.
        """
        node, session = self._node, self._session
        node.admit(session)
        try:
            caller.begun(session)
            if identity is not None or not session.wire.dialect.connects:
                session.adopt(identity)
            await self._read()
        except asyncio.CancelledError:
            if not self._aborted:
                raise
            self._task.uncancel()
        finally:
            node.counters.closes[_label(self._closed_with or self._ended_with)] += 1
            self._resume_writing()
            session.lost()
            caller.ended()
            await self._outgoing.end()
        if self._aborted:
            await self._close_anyhow()

    async def _close_anyhow(self) -> None:
        """Ask the server once more to close, as far as it is able: not each ends a connection when the call ends.

        daphne refuses the codes that RFC 6455 reserves, such as 1009, with an exception. So this is a code that says no
        more than whether the client may reconnect.
        """
        rule = None if self._closed_with is None else CLOSE_RULES[self._closed_with]
        code = Close.NORMAL if rule is not None and not rule.reconnect else Close.TOO_SLOW
        with suppress(Exception):  # as a rule, the client is gone, or the server has closed
            async with asyncio.timeout(SLOW_READER_CLOSE_TIMEOUT):
                await self._send({"type": "websocket.close", "code": int(code), "reason": CLOSE_RULES[code].reason})

    async def _read(self) -> None:
        session, node = self._session, self._node
        most = node.settings.max_command
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                if self._closed_with is None:
                    self._ended_with = message.get("code") or 1005
                return
            session.heard = True
            budget = session.budget
            if budget.left <= 0 and not node.budgets.allows(budget):
                await self._wait_for_budget(session)
                budget = session.budget
            began = node.budgets.clock()
            self._take(message, session, most)
            budget.left -= node.budgets.clock() - began + FRAME

    def _take(self, message: Any, session: Session, most: int) -> None:
        now = self._node.now()
        text = message.get("text")
        if session.closing:
            session.waste(now)
        elif text is None:
            session.close(Close.BINARY, now)
        elif len(text) > most or len(payload := _encode(text)) > most:
            session.close(Close.COMMAND_TOO_LARGE, now)
        elif not payload and text:
            session.close(Close.INVALID_UTF8, now)
        else:
            session.receive(payload, now)

    async def _wait_for_budget(self, session: Session) -> None:
        """Take nothing more from the server until the user's budget allows it."""
        session.pause(self._node.now())
        allowed = self._node.loop.create_future()
        self._node.budgets.wait(session.budget, partial(_resolve, allowed))
        await allowed
        session.resume(self._node.now())

    # --- a slow reader ---

    def _pause_writing(self) -> None:
        if self._slow_reader is None:
            self._slow_reader = SlowReader(self._outgoing, self._session, self._node)

    def _resume_writing(self) -> None:
        if self._slow_reader is not None:
            self._slow_reader.end()
            self._slow_reader = None

    def _failed(self, error: Exception) -> None:
        """The server has refused a message. Most raise `OSError` for a client that is gone, and some other errors."""
        if not isinstance(error, OSError) and not self._session.closing:
            log.debug("sending failed", exc_info=error)
        self.abort()

    # --- called by the session (`hubbub.session.Link`) ---

    def close(self, code: Close) -> None:
        """Send a close frame; the session limits the time until the client has answered."""
        self._closed_with = code
        self._node.send(self._session, close_frame(code))

    def ping(self) -> None:
        """Send nothing: the server pings, and ends the connections of silent clients. Here they count as alive."""
        self._node.loop.call_soon(self._alive)

    def _alive(self) -> None:
        self._session.heard = True

    def abort(self) -> None:
        """End the app's call; the server then ends the connection."""
        if not self._aborted and not self._session.gone:
            self._aborted = True
            self._task.cancel()


def _encode(text: str) -> bytes:
    """Return the UTF-8 of a text, or nothing if a server has passed halves of surrogate pairs on."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return b""


def _label(code: int | None) -> str:
    """Return the code that a connection ended with, as a label for the metrics; see `websocket.strict.close_code`."""
    if code is None:
        return "1006"
    return str(int(code)) if 1000 <= code <= 1015 or code in CLOSE_RULES else "other"


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
