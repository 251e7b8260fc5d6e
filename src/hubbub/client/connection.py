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

from hubbub.client.events import Event
from hubbub.client.rules import ABNORMAL, is_loopback
from hubbub.client.wire import Command, Reply, encode, read_frame, with_id
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Gap as Lost
from hubbub.messages import Restart

SUBPROTOCOL = Subprotocol("hubbub.v1")
MAX_FRAME = 16 * 1024 * 1024
"""Bytes of the largest frame that is read; a page of 1,000 long names has about 4 MiB."""
CLOSE_TIMEOUT = 3.0
"""Seconds to wait for the server to say goodbye as well."""


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
        except msgspec.MsgspecError as error:
            self.reject(CommandError(ErrorCode.INTERNAL, f"The server's answer is not understood: {error}."))
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

    def __init__(self, socket: ClientConnection, on_event: Callable[[Event | Lost | Restart], None]) -> None:
        self._socket = socket
        self._on_event = on_event
        self._outbox: asyncio.Queue[Call] = asyncio.Queue()
        self._sent: dict[int, Call] = {}
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def send(self, call: Call) -> None:
        """Send a call behind those before it. Its future is settled by the reply.

        When the connection ends, calls without an answer stay as they are, for the next connection: queries and joins
        may be repeated, and posts carry a key.
        """
        self._outbox.put_nowait(call)

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
            while True:
                self._receive(await self._socket.recv())
        except ConnectionClosed:
            pass
        finally:
            writing.cancel()
            await self._socket.close()
            end = self._over()
        return end

    async def _write(self) -> None:
        try:
            for number in itertools.count(1):
                call = await self._outbox.get()
                if call.future.done():  # given up before it was sent
                    continue
                self._sent[number] = call
                call.future.add_done_callback(lambda _, number=number: self._sent.pop(number, None))  # type: ignore[misc]
                await self._socket.send(with_id(number, call.body), text=True)
        except ConnectionClosed:
            pass

    def _receive(self, text: str | bytes) -> None:
        frame = read_frame(text)
        if isinstance(frame, Reply):
            if call := self._sent.pop(frame.id, None):
                call.settle(frame)
        elif frame is not None:
            self._on_event(frame)

    def _over(self) -> End:
        end = End(self._socket.close_code or ABNORMAL, self._socket.close_reason or "no reason given")
        self._ended.set_result(end)
        self._sent.clear()
        return end


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


async def open_connection(
    url: str, on_event: Callable[[Event | Lost | Restart], None], *, timeout: float, tls: ssl.SSLContext | None
) -> Connection:
    """Open a WebSocket.

    Args:
        url: What `rules.socket_url` returned.
        on_event: Gets every event.
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
    except (ValueError, LookupError, TypeError):
        temporary = status >= 500 or status in (408, 429)
        code = ErrorCode.UNAVAILABLE if temporary else ErrorCode.INVALID_REQUEST
        return CommandError(code, f"The connection was refused with HTTP status {status}.")
