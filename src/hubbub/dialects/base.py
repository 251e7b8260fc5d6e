"""What a dialect is: it translates between the structs of `hubbub.messages` and the bytes of one wire language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Command, Event, Reply


class BadCommandError(CommandError):
    """A frame that is not a valid command. `id` is the command's id, if the frame has a readable one."""

    def __init__(self, code: ErrorCode, message: str, id: int | None) -> None:  # noqa: A002
        super().__init__(code, message)
        self.id = id


UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, BadCommandError)
"""What `Dialect.read` may raise."""


class Dialect(Protocol):
    """One wire language. Stateless: one instance serves all connections, and groups share what it encodes.

    A new dialect is one module with such an object, and one line in the transport that offers it.
    """

    name: str
    """Its name in the documentation."""

    subprotocol: str | None
    """Its WebSocket subprotocol (RFC 6455, section 1.9), if it has one."""

    connects: bool
    """Whether a client can identify itself by a command. Otherwise the opening handshake must have its token."""

    silence: float
    """Seconds without a keep-alive frame after which a client that has sent such frames counts as gone."""

    def decode(self, payload: bytes) -> Command | None:
        """Return the command in one frame, which is valid UTF-8; None for a keep-alive frame.

        Raises:
            BadCommandError: The frame is not JSON, not a known command, or a field is missing or of the wrong type.
        """
        ...

    def read(self, payload: bytes) -> Command | None:
        """Do what `decode` does, with less work for valid frames.

        The message of a post may be a view of the frame, and keeps all of it in memory. Any of `UNREADABLE` is raised
        for a frame that `decode` refuses; `refusal` returns the error for the client.
        """
        ...

    def refusal(self, payload: bytes, error: Exception) -> BadCommandError:
        """Return the error for a frame for which `read` has raised `error`."""
        ...

    def reply(self, id: int, reply: Reply) -> bytes | None:  # noqa: A002
        """Return the frame that answers command `id`; None if the language has no such reply."""
        ...

    sent: bytes | None
    """The reply to a post, for ``%`` with id and number of recipients; None if there is none.

    It gives the same bytes as ``reply(id, messages.sent(recipients))``, in a third of the time.
    """

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Return the frame that says why command `id` was refused; `id` is None if it is unknown."""
        ...

    def event(self, event: Event) -> bytes:
        """Return the frame for `event`; ``b""`` if the language has no such event.

        Called once per group and message, not once per member.
        """
        ...


class Wire:
    """A dialect in the framing of a transport: its output can be written as it is.

    There is one object for each such pair, shared by all connections that use it; the fan-out encodes once for each.

    Args:
        dialect: The dialect.
        frame: Returns a payload with its framing.
        headers: What precedes a payload in its frame, by the length of the payload, for short ones. It saves a call of
            `frame` for each event and each reply to a post.
    """

    def __init__(self, dialect: Dialect, frame: Callable[[bytes], bytes], headers: Sequence[bytes] = ()) -> None:
        self.dialect = dialect
        self.read = dialect.read
        self._frame = frame
        self._headers, self._short = headers, len(headers)
        self._reply, self._sent, self._error, self._event = dialect.reply, dialect.sent, dialect.error, dialect.event

    def reply(self, id: int, reply: Reply) -> bytes | None:  # noqa: A002
        """Return the framed reply to command `id`; None if there is none."""
        answer = self._reply(id, reply)
        return None if answer is None else self._frame(answer)

    def sent(self, id: int, recipients: int) -> bytes | None:  # noqa: A002
        """Return the framed reply to a post; None if there is none."""
        template = self._sent
        if template is None:
            return None
        answer = template % (id, recipients)
        size = len(answer)
        return self._headers[size] + answer if size < self._short else self._frame(answer)

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Return the framed refusal of command `id`."""
        return self._frame(self._error(id, error))

    def event(self, event: Event) -> bytes:
        """Return the framed event; ``b""`` if the language has no such event."""
        encode = self._event
        data = encode(event)
        size = len(data)
        if 0 < size < self._short:
            return self._headers[size] + data
        return self._frame(data) if size else data
