"""One WebSocket: numbers commands, matches replies, passes on events. It knows nothing of tokens or reconnecting."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from hubbub.client.events import UNREADABLE, Event, Problem
from hubbub.client.reconnect_policy import ABNORMAL, is_loopback
from hubbub.client.wire import (
    MAX_DECODED_SIZE,
    Command,
    LiveEvent,
    Reply,
    decoded_size,
    encode,
    invalid_reply,
    read_frame,
    with_id,
)
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.messages import Gap as ServerGap
from hubbub.messages import Posted, Restart

SUBPROTOCOL = Subprotocol("hubbub.v1")
MAX_FRAME = 16 * 1024 * 1024
"""Most bytes of a frame; a page of 1,000 long names has about 4 MiB."""
MAX_UNREADABLE = 100
"""Most unreadable frames of one connection. If the server sends more, the client disconnects and reconnects later."""
SEND_TIMEOUT = 30.0
"""Seconds for the system to accept what we send; the library's pings cannot detect a server that does not read."""
CLOSE_TIMEOUT = 3.0
"""Seconds to wait for the server's close frame."""


OnEvent = Callable[[Event | LiveEvent | ServerGap | Posted | Restart, int], None]


class End(NamedTuple):
    """Why a connection ended, or could not be opened: a close code or an error code."""

    code: int | str
    reason: str
    error: CommandError | None = None


class Call:
    """A command that waits for its reply."""

    def __init__(
        self, command: Command, kind: Any, on_reply: Callable[[Any], None] | None = None, *, once: bool = False
    ) -> None:
        """Encode `command`, whose reply has the type `kind`.

        `on_reply` is called with the reply before anything that arrived after it is processed. A call that is sent
        `once` fails when the connection ends before the reply.

        Raises:
            CommandError: The command cannot be represented in JSON.
        """
        self.command = command
        self.body = encode(command)
        self.once = once
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._kind = kind
        self._on_reply = on_reply

    async def answer(self, timeout: float) -> Any:
        """Wait for the reply and return it. Raises `CommandError`, ``UNAVAILABLE`` after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self.future
        except TimeoutError:
            raise _no_answer(self.command, timeout) from None

    def settle(self, reply: Reply) -> None:
        """Set the result, unless the caller has given up."""
        if self.future.done():
            return
        if reply.ok is None:
            self.reject(
                reply.error
                or CommandError(ErrorCode.INTERNAL, "The server sent a reply that is neither ok nor an error.")
            )
            return
        try:
            answer = msgspec.json.decode(reply.ok, type=self._kind)
        except (ValueError, RecursionError) as error:
            self.reject(invalid_reply(error))
            return
        if self._on_reply:
            self._on_reply(answer)
        self.future.set_result(answer)

    def reject(self, error: CommandError) -> None:
        """Let the call fail."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # so that asyncio does not complain if nobody awaits it


class Connection:
    """One open WebSocket. Nothing is sent or received until `run` is running."""

    def __init__(self, socket: ClientConnection, on_event: OnEvent) -> None:
        self._socket = socket
        self._on_event = on_event
        self._outbox: dict[Call, None] = {}  # in order, without calls that have timed out
        self._filled = asyncio.Event()
        self._sent: dict[int, Call] = {}
        self._unreadable = 0
        self._violation = ""  # why we ended the connection, if we did
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def send(self, call: Call) -> None:
        """Send a call after those before it. The reply sets the result of its future.

        When the connection ends, calls without a reply stay open, so that the next connection can send them again:
        queries and joins may be repeated, and posts have a key. Those that are to be sent once fail.
        """
        if call.future.done():
            return
        self._outbox[call] = None
        call.future.add_done_callback(lambda _: self._outbox.pop(call, None))
        self._filled.set()

    async def ask(self, call: Call, timeout: float) -> Any:
        """Send a call and return its reply.

        Raises:
            CommandError: The server's error; or ``UNAVAILABLE``: the connection ended, or `timeout` passed.
        """
        self.send(call)
        await asyncio.wait([call.future, self._ended], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not call.future.done():
            call.reject(_lost(self._ended.result()) if self._ended.done() else _no_answer(call.command, timeout))
        return call.future.result()

    async def run(self) -> End:
        """Send and receive until the connection ends; return why. When cancelled, do the closing handshake first."""
        writing = asyncio.ensure_future(self._write())
        try:
            while not self._violation:
                self._receive(await self._socket.recv())
        except ConnectionClosed:
            pass
        finally:
            writing.cancel()
            await self._close()
            end = self._end()
        return end

    async def _close(self) -> None:
        """Do the closing handshake, but not for long: the server may neither read nor stop sending."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._socket.close(Close.PROTOCOL_ERROR if self._violation else Close.NORMAL)
        except TimeoutError:
            pass
        finally:  # closed, too late, or cancelled: free the socket in any case
            self._socket.transport.abort()

    async def _write(self) -> None:
        try:
            for number in itertools.count(1):
                while not self._outbox:
                    self._filled.clear()
                    await self._filled.wait()
                call = next(iter(self._outbox))
                del self._outbox[call]
                self._sent[number] = call
                call.future.add_done_callback(lambda _, number=number: self._sent.pop(number, None))  # type: ignore[misc]
                async with asyncio.timeout(SEND_TIMEOUT):
                    await self._socket.send(with_id(number, call.body), text=True)
        except ConnectionClosed:
            pass
        except TimeoutError:
            self._violation = "the server does not read"
            self._socket.transport.abort()

    def _receive(self, data: str | bytes) -> None:
        """Process a frame; nothing is raised. A server that keeps sending unreadable frames is disconnected."""
        frame, size = _read(data)
        if isinstance(frame, Reply):
            if call := self._sent.pop(frame.id, None):
                call.settle(frame)
        elif frame is not None:
            self._on_event(frame, size)
            if isinstance(frame, Problem) and frame.code == UNREADABLE:
                self._unreadable += 1
                if self._unreadable > MAX_UNREADABLE:
                    self._violation = f"more than {MAX_UNREADABLE} frames that cannot be read"

    def _end(self) -> End:
        end = End(self._socket.close_code or ABNORMAL, self._socket.close_reason or "no reason given")
        if self._violation:
            end = End(ABNORMAL, self._violation)
        elif self._socket.protocol.close_sent and not self._socket.protocol.close_rcvd_then_sent:
            # The code is our own, sent back: the library closed the connection because the server broke the protocol.
            end = End(ABNORMAL, self._socket.protocol.close_sent.reason or "closed by this client")
        self._ended.set_result(end)
        sent = list(self._sent.values())
        self._sent.clear()
        for call in sent:
            if call.once:
                call.reject(_lost(end))
        return end


def _read(data: str | bytes) -> tuple[Reply | Event | LiveEvent | ServerGap | Posted | Restart | None, int]:
    """Return the decoded frame, and about how many bytes it takes."""
    if isinstance(data, bytes):
        return Problem(UNREADABLE, "A frame from the server cannot be read: it is binary. It was dropped."), 0
    size = decoded_size(data)
    if size > MAX_DECODED_SIZE:
        text = f"A frame from the server is too large to decode: it has {len(data)} characters. It was dropped."
        return Problem(UNREADABLE, text), 0
    return read_frame(data), size


def _lost(end: End) -> CommandError:
    text = f"The connection was lost before the answer came ({end.code}: {end.reason})."
    return CommandError(ErrorCode.UNAVAILABLE, text)


def _no_answer(command: Command, timeout: float) -> CommandError:
    return CommandError(ErrorCode.UNAVAILABLE, f"No answer to {command['do']!r} within {timeout:g} s.")


class _Opening(connect):
    """Opens a connection as the library does, but follows no redirect: that would send the token to another server."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Treat a redirect as an error."""
        return exc


async def open_connection(
    url: str,
    on_event: OnEvent,
    *,
    timeout: float,
    tls: ssl.SSLContext | None,
    headers: Mapping[str, str] | None = None,
) -> Connection:
    """Open a WebSocket.

    Args:
        url: What `reconnect_policy.socket_url` returned.
        on_event: Called with every event, and about how many bytes it takes.
        timeout: Seconds, for all of the opening handshake.
        tls: How certificates are checked; None for the system's default.
        headers: Sent with the opening handshake.

    Raises:
        CommandError: ``UNAVAILABLE``: no server answers; or the error with which the server refused.
    """
    try:
        socket = await _Opening(
            url,
            subprotocols=[SUBPROTOCOL],
            ssl=tls,
            additional_headers=headers,
            compression=None,
            max_size=MAX_FRAME,
            open_timeout=timeout,
            close_timeout=CLOSE_TIMEOUT,
            proxy=None if is_loopback(url) else True,
        )
    except InvalidStatus as error:
        raise _refusal(error.response.status_code, bytes(error.response.body or b"")) from None
    except (OSError, TimeoutError, InvalidMessage) as error:  # a server that crashes may leave half an answer
        why = str(error) or type(error).__name__
        raise CommandError(ErrorCode.UNAVAILABLE, f"Cannot connect to {url}: {why}.") from None
    except InvalidHandshake as error:
        raise CommandError(
            ErrorCode.INVALID_REQUEST, f"{url} does not answer like a Hubbub server: {error}. Check the address."
        ) from None
    return Connection(socket, on_event)


def _refusal(status: int, body: bytes) -> CommandError:
    """Return the error in an HTTP answer. For an answer of a proxy, which has none, the status decides."""
    try:
        error = json.loads(body)["error"]
        return CommandError(ErrorCode(error["code"]), str(error["message"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        temporary = status >= 500 or status in (408, 429)
        code = ErrorCode.UNAVAILABLE if temporary else ErrorCode.INVALID_REQUEST
        return CommandError(code, f"The connection was refused with HTTP status {status}.")
