"""One WebSocket: numbers commands, matches replies, hands on events. It knows nothing of tokens or reconnecting."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from hubbub.client.events import UNREADABLE, Event, Problem
from hubbub.client.reconnect_policy import ABNORMAL, is_loopback
from hubbub.client.wire import MAX_WEIGHT, Command, Reply, encode, not_understood, read_frame, weigh, with_id
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.messages import Gap as Lost
from hubbub.messages import Restart

SUBPROTOCOL = Subprotocol("hubbub.v1")
MAX_FRAME = 16 * 1024 * 1024
"""Bytes of the largest frame that is read; a page of 1,000 long names has about 4 MiB."""
MAX_UNREADABLE = 100
"""Frames of one connection that cannot be read; a server that sends more is given up, and connected to again later."""
SEND_TIMEOUT = 30.0
"""Seconds for the system to take what is sent; the library's pings cannot find out that a server does not read."""
CLOSE_TIMEOUT = 3.0
"""Seconds to wait for the server to say goodbye as well."""


OnEvent = Callable[[Event | Lost | Restart, int], None]


class End(NamedTuple):
    """Why a connection is over, or was never made: a close code or an error code."""

    code: int | str
    reason: str
    error: CommandError | None = None


class Call:
    """A command that waits for its answer."""

    def __init__(self, command: Command, kind: Any, on_answer: Callable[[Any], None] | None = None) -> None:
        """Take what is asked, the type of the answer, and who hears of it before anything that came behind it.

        Raises:
            CommandError: The command is not JSON.
        """
        self.command = command
        self.body = encode(command)
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._kind = kind
        self._on_answer = on_answer

    async def answer(self, timeout: float) -> Any:
        """Wait for the answer and return it. Raises `CommandError`, ``UNAVAILABLE`` after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self.future
        except TimeoutError:
            raise _no_answer(self.command, timeout) from None

    def settle(self, reply: Reply) -> None:
        """Give the answer to who waits for it, if anybody still does."""
        if self.future.done():
            return
        if reply.ok is None:
            self.reject(reply.error or CommandError(ErrorCode.INTERNAL, "The answer is neither ok nor an error."))
            return
        try:
            answer = msgspec.json.decode(reply.ok, type=self._kind)
        except (ValueError, RecursionError) as error:
            self.reject(not_understood(error))
            return
        if self._on_answer:
            self._on_answer(answer)
        self.future.set_result(answer)

    def reject(self, error: CommandError) -> None:
        """Let the call fail."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # whoever waits sees it; nobody has to


class Connection:
    """One open WebSocket. `run` must be running for anything to happen."""

    def __init__(self, socket: ClientConnection, on_event: OnEvent) -> None:
        self._socket = socket
        self._on_event = on_event
        self._outbox: dict[Call, None] = {}  # in order; without those that were given up meanwhile
        self._filled = asyncio.Event()
        self._sent: dict[int, Call] = {}
        self._unreadable = 0
        self._violation = ""  # why we gave up the server, if we did
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def send(self, call: Call) -> None:
        """Send a call behind those before it. Its future is settled by the reply.

        When the connection ends, calls without an answer stay as they are, for the next connection: queries and joins
        may be repeated, and posts carry a key.
        """
        if call.future.done():
            return
        self._outbox[call] = None
        call.future.add_done_callback(lambda _: self._outbox.pop(call, None))
        self._filled.set()

    async def ask(self, call: Call, timeout: float) -> Any:
        """Send a call and return its answer.

        Raises:
            CommandError: What the server says against it, or ``UNAVAILABLE`` after `timeout` seconds.
        """
        self.send(call)
        await asyncio.wait([call.future, self._ended], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not call.future.done():
            call.reject(_lost(self._ended.result()) if self._ended.done() else _no_answer(call.command, timeout))
        return call.future.result()

    async def run(self) -> End:
        """Send and receive until the connection is over, and return why. When cancelled, say goodbye first."""
        writing = asyncio.ensure_future(self._write())
        try:
            while not self._violation:
                self._receive(await self._socket.recv())
        except ConnectionClosed:
            pass
        finally:
            writing.cancel()
            await self._close()
            end = self._over()
        return end

    async def _close(self) -> None:
        """Say goodbye and wait for the server's, but not for long: it may neither read nor stop sending."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._socket.close(Close.PROTOCOL_ERROR if self._violation else Close.NORMAL)
        except TimeoutError:
            pass
        finally:  # in time, too late, or cancelled meanwhile: the socket is given back
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
        """Take in a frame. A server that keeps sending what cannot be read is given up; nothing is raised."""
        frame, weight = _read(data)
        if isinstance(frame, Reply):
            if call := self._sent.pop(frame.id, None):
                call.settle(frame)
        elif frame is not None:
            self._on_event(frame, weight)
            if isinstance(frame, Problem) and frame.code == UNREADABLE:
                self._unreadable += 1
                if self._unreadable > MAX_UNREADABLE:
                    self._violation = f"more than {MAX_UNREADABLE} frames that cannot be read"

    def _over(self) -> End:
        end = End(self._socket.close_code or ABNORMAL, self._socket.close_reason or "no reason given")
        if self._violation:
            end = End(ABNORMAL, self._violation)
        elif self._socket.protocol.close_sent and not self._socket.protocol.close_rcvd_then_sent:
            # Its code is our own, sent back: we, that is the library, closed because of what the server did.
            end = End(ABNORMAL, self._socket.protocol.close_sent.reason or "closed by this client")
        self._ended.set_result(end)
        self._sent.clear()
        return end


def _read(data: str | bytes) -> tuple[Reply | Event | Lost | Restart | None, int]:
    """Return what a frame says, and about how many bytes that takes."""
    if isinstance(data, bytes):
        return Problem(UNREADABLE, "A frame from the server cannot be read: it is binary."), 0
    weight = weigh(data)
    if weight > MAX_WEIGHT:
        return Problem(UNREADABLE, f"A frame from the server cannot be read: it has {len(data)} characters."), 0
    return read_frame(data), weight


def _lost(end: End) -> CommandError:
    text = f"The connection was lost before the answer came ({end.code}: {end.reason})."
    return CommandError(ErrorCode.UNAVAILABLE, text)


def _no_answer(command: Command, timeout: float) -> CommandError:
    return CommandError(ErrorCode.UNAVAILABLE, f"No answer to {command['do']!r} within {timeout:g} s.")


class _Opening(connect):
    """The library's way to open a connection, but to this address only: a redirect would take the token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Let a redirect be the refusal that it is."""
        return exc


async def open_connection(url: str, on_event: OnEvent, *, timeout: float, tls: ssl.SSLContext | None) -> Connection:
    """Open a WebSocket.

    Args:
        url: What `rules.socket_url` returned.
        on_event: Gets every event, and about how many bytes it takes.
        timeout: Seconds, for all of the opening handshake.
        tls: How certificates are checked; None for the system's way.

    Raises:
        CommandError: ``UNAVAILABLE``, nothing answers; or what the server answered instead of opening.
    """
    try:
        socket = await _Opening(
            url,
            subprotocols=[SUBPROTOCOL],
            ssl=tls,
            compression=None,
            max_size=MAX_FRAME,
            open_timeout=timeout,
            close_timeout=CLOSE_TIMEOUT,
            proxy=None if is_loopback(url) else True,
        )
    except InvalidStatus as error:
        raise _refusal(error.response.status_code, bytes(error.response.body or b"")) from None
    except (OSError, TimeoutError, InvalidMessage) as error:  # a server that dies may leave half an answer
        why = str(error) or type(error).__name__
        raise CommandError(ErrorCode.UNAVAILABLE, f"Cannot connect to {url}: {why}.") from None
    except InvalidHandshake as error:
        raise CommandError(ErrorCode.INVALID_REQUEST, f"{url} does not answer as a Hubbub server: {error}.") from None
    return Connection(socket, on_event)


def _refusal(status: int, body: bytes) -> CommandError:
    """Return the error that stands in an HTTP answer; a proxy's answer, which has none, is judged by its status."""
    try:
        error = json.loads(body)["error"]
        return CommandError(ErrorCode(error["code"]), str(error["message"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        temporary = status >= 500 or status in (408, 429)
        code = ErrorCode.UNAVAILABLE if temporary else ErrorCode.INVALID_REQUEST
        return CommandError(code, f"The connection was refused with HTTP status {status}.")
