"""The connections to an app, kept open between requests. There are as many as there are requests at a time."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from hubbub.http_hooks.connection import MAX_ANSWER, Answer, HttpConnection, LostError

IDLE = 4.0
"""Seconds that an unused connection is kept: less than the 5 s after which many servers close theirs."""


class Pool:
    """Connections to one address.

    Args:
        url: The address, ``http`` or ``https``. Certificates are checked by those of the system (``SSL_CERT_FILE``).
        max_answer: Most bytes of the body of an answer.
    """

    def __init__(self, url: str, max_answer: int = MAX_ANSWER) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._max_answer = max_answer
        self._loop = asyncio.get_running_loop()
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request on a connection that is free, or on a new one.

        A connection that was kept open may just be closed by the app. If it is lost before any answer has come, the
        request is sent once more on a new one; it has the same ``webhook-id``.

        Raises:
            LostError: There is no connection, or it was lost.
            NotHttpError: The answer is not HTTP, or too large.
        """
        connection = self._take()
        if connection is not None:
            try:
                return await self._on(connection, request)
            except LostError as error:
                if error.began:
                    raise
        return await self._on(await self._connect(), request)

    async def _on(self, connection: HttpConnection, request: bytes) -> Answer:
        try:
            answer = await connection.ask(request, self._max_answer)
        except BaseException:
            self._open.discard(connection)
            raise
        if connection.usable:
            connection.idle_since = self._loop.time()
            self._idle.append(connection)
            if self._timer is None:
                self._timer = self._loop.call_later(IDLE, self._close_idle)
        else:
            self._open.discard(connection)
        return answer

    async def _connect(self) -> HttpConnection:
        name = self._host if self._tls else None
        try:
            _, connection = await self._loop.create_connection(
                HttpConnection, self._host, self._port, ssl=self._tls, server_hostname=name
            )
        except OSError as error:  # also what is wrong with a certificate
            raise LostError(str(error) or type(error).__name__) from None
        self._open.add(connection)
        return connection

    def _take(self) -> HttpConnection | None:
        """Return the connection that was used last, since the others may then become old."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and self._loop.time() - connection.idle_since < IDLE:
                return connection
            connection.close()
            self._open.discard(connection)
        return None

    def _close_idle(self) -> None:
        self._timer, now = None, self._loop.time()
        kept = []
        for connection in self._idle:
            if connection.usable and now - connection.idle_since < IDLE:
                kept.append(connection)
            else:
                connection.close()
                self._open.discard(connection)
        self._idle = kept
        if kept:
            self._timer = self._loop.call_later(max(0.1, kept[0].idle_since + IDLE - now), self._close_idle)

    def close(self) -> None:
        """Close all connections; requests that wait fail."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._open):
            connection.close()
        self._open.clear()
        self._idle.clear()
