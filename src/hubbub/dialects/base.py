"""What a dialect is: the seam between the structs of `hubbub.messages` and the bytes of one wire language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import Command, Event, Reply


class BadCommandError(CommandError):
    """A frame that is no command. `id` is the command's id if one could be made out, so that the reply reaches it."""

    def __init__(self, code: ErrorCode, message: str, id: int | None) -> None:  # noqa: A002
        super().__init__(code, message)
        self.id = id


class Dialect(Protocol):
    """One wire language. Stateless: one instance serves all connections, and groups share what it encodes.

    A new dialect is one module with such an object, and one line in the transport that offers it.
    """

    name: str
    """How the documentation calls it."""

    subprotocol: str | None
    """Its WebSocket subprotocol (RFC 6455, section 1.9), if it has one."""

    connects: bool
    """Whether a client can say who it is by a command. Otherwise the opening handshake must carry its token."""

    silence: float
    """Seconds after which a client that used to say "I am still here", and stopped to, counts as gone."""

    def decode(self, payload: bytes) -> Command | None:
        """Return the command in one frame, which is valid UTF-8; None for one that only says "I am still here".

        Raises:
            BadCommandError: The frame is not JSON, not a known command, or a field is missing or of the wrong type.
        """
        ...

    def reply(self, id: int, reply: Reply) -> bytes | None:  # noqa: A002
        """Return the frame that answers command `id`; None if the language has no such answer."""
        ...

    def sent(self, id: int, recipients: int) -> bytes | None:  # noqa: A002
        """Return the frame that answers a post: ``reply(id, messages.sent(recipients))``, only quicker."""
        ...

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Return the frame that says why command `id` was refused; None when the frame's id is unknown."""
        ...

    def event(self, event: Event) -> bytes:
        """Return the frame that carries `event`; nothing, ``b""``, if the language cannot say it.

        Called once per group and message, not once per member.
        """
        ...


class Wire:
    """A dialect in the framing of a transport: what comes out can be written as it is.

    There is one object per pair, shared by all its connections; the fan-out encodes once for each.
    """

    def __init__(self, dialect: Dialect, frame: Callable[[bytes], bytes]) -> None:
        self.dialect = dialect
        self.decode = dialect.decode
        self._frame = frame
        self._reply, self._sent, self._error, self._event = dialect.reply, dialect.sent, dialect.error, dialect.event

    def reply(self, id: int, reply: Reply) -> bytes | None:  # noqa: A002
        """Return the framed answer to command `id`; None if there is none."""
        answer = self._reply(id, reply)
        return None if answer is None else self._frame(answer)

    def sent(self, id: int, recipients: int) -> bytes | None:  # noqa: A002
        """Return the framed answer to a post; None if there is none."""
        answer = self._sent(id, recipients)
        return None if answer is None else self._frame(answer)

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Return the framed refusal of command `id`."""
        return self._frame(self._error(id, error))

    def event(self, event: Event) -> bytes:
        """Return the framed event; nothing if there are no words for it."""
        data = self._event(event)
        return self._frame(data) if data else data
