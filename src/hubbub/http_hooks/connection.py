"""One HTTP connection to an app: a request, an answer within fixed limits, and the next request.

Our own instead of httpx because each post waits for it: with a hundred requests at a time httpx takes 3 ms of CPU time
for each, and this one a thirtieth of that. It does what a hook needs and nothing else: no redirects, cookies, proxies
or compressed answers.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast

import httptools

MAX_ANSWER = 65_536 + 65_536
"""Most bytes of the body of an answer: a message of the default ``max_message``, and room for what is around it."""

MAX_HEAD = 65_536
"""Most bytes of an answer besides its body: status, headers, what divides chunks, and informational answers."""


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    content_encoding: str
    body: bytes


class LostError(Exception):
    """The connection was lost, or could not be made, before there was an answer.

    Args:
        reason: For the log.
        began: Whether a part of the answer had come.
    """

    def __init__(self, reason: str, *, began: bool = False) -> None:
        super().__init__(reason)
        self.began = began


class NotHttpError(Exception):
    """What came is no answer, or a larger one than is allowed. The text is for the log."""


class HttpConnection(asyncio.Protocol):
    """A connection that is kept open: one request at a time.

    Attributes:
        usable: Whether it can take another request.
        used: How many requests it has answered.
        idle_since: When the last answer ended, on the clock of whoever keeps it.
    """

    def __init__(self) -> None:
        self.usable = True
        self.used = 0
        self.idle_since = 0.0
        self._transport = cast(asyncio.Transport, None)
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer] | None = None
        self._received = 0
        self._body = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._in_body = False

    async def ask(self, request: bytes, most: int = MAX_ANSWER) -> Answer:
        """Send a request and return its answer. A caller that is cancelled ends the connection.

        Args:
            request: Head and body.
            most: Most bytes of the answer's body.

        Raises:
            LostError: The connection was lost first.
            NotHttpError: The answer is not HTTP, or too large.
        """
        if not self.usable or self._waiter is not None:
            raise LostError("the connection was closed")
        self._most = most
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None

    def close(self) -> None:
        """Close the connection. Calling it again changes nothing."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        if self._waiter is None or self._waiter.done():  # nothing was asked
            self.close()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._fail(error.__context__ if isinstance(error.__context__, NotHttpError) else error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(error)
        else:
            if self._received > self._most + MAX_HEAD:
                self._fail(_too_large(self._most))

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end; an answer without a length is complete then."""
        self.usable = False
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._in_body and error is None and not self._has_length():
            self._complete()
        else:
            reason = str(error or "the app has closed the connection without a complete answer")
            waiter.set_exception(LostError(reason, began=self._received > 0))

    # --- httptools ---

    def on_message_begin(self) -> None:
        """Begin an answer."""
        self._headers, self._in_body = {}, False
        self._body.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Begin the body."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if len(self._body) + len(body) > self._most:
            raise _too_large(self._most)
        self._body += body

    def on_message_complete(self) -> None:
        """End an answer, unless it is informational: then another one follows."""
        if self._parser.get_status_code() >= 200:
            self.usable = self.usable and self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():  # a second answer to one request
            self.close()
            return
        coding = self._headers.get(b"content-encoding", b"").decode("latin-1")
        answer = Answer(self._parser.get_status_code(), coding, bytes(self._body))
        self._received, self._in_body = 0, False
        self.used += 1
        if not self.usable:
            self._transport.close()
        waiter.set_result(answer)

    def _has_length(self) -> bool:
        return b"content-length" in self._headers or b"transfer-encoding" in self._headers

    def _fail(self, error: BaseException) -> None:
        if self._waiter is not None and not self._waiter.done():
            known = error if isinstance(error, NotHttpError) else NotHttpError(f"it is not HTTP: {error}")
            self._waiter.set_exception(known)
        self.close()


def _too_large(most: int) -> NotHttpError:
    return NotHttpError(f"it has more than {most} bytes")
