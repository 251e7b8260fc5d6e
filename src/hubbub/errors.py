"""Everything that can go wrong, once: the exceptions, the error codes and the close codes.

A client sees errors in two shapes. A *reply* carries ``{"code", "message"}`` and the connection stays. A *close
code* ends the connection and says whether the client may come back. Both lists are closed: nothing else invents one.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """What a reply's ``error.code`` may be."""

    INVALID_PARAMETER = "INVALID_PARAMETER"  # a field is missing, of the wrong type or out of its limits
    INVALID_REQUEST = "INVALID_REQUEST"  # well formed, but not possible now
    UNAUTHORIZED = "UNAUTHORIZED"  # who are you? no token, or not a valid one
    FORBIDDEN = "FORBIDDEN"  # known, but without the right
    TOO_LARGE = "TOO_LARGE"  # over a limit of size or depth
    RATE_LIMITED = "RATE_LIMITED"  # too many commands a second
    UNAVAILABLE = "UNAVAILABLE"  # the backend does not answer, or the node is stopping; try again
    INTERNAL = "INTERNAL"  # our fault; the log has the details


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.INVALID_PARAMETER: 400,
    ErrorCode.INVALID_REQUEST: 409,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.INTERNAL: 500,
}
"""The HTTP status that goes with each code; the body is the same ``{"error": {"code", "message"}}``."""


class HubbubError(Exception):
    """The root of every exception that Hubbub raises on purpose."""


class SettingsError(HubbubError):
    """A setting is missing, of the wrong type or out of range; the text names it and says what to set."""


class CommandError(HubbubError):
    """A command was refused. The sender gets ``code`` and ``message`` in the reply; nobody else notices.

    Args:
        code: One of `ErrorCode`.
        message: One sentence for the person who wrote the client: names the field and the limit.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def invalid(message: str) -> CommandError:
    """Return the error for a field that is missing, of the wrong type or out of its limits."""
    return CommandError(ErrorCode.INVALID_PARAMETER, message)


class Close(IntEnum):
    """The close codes that the server chooses. 1000-1011 are RFC 6455, section 7.4.1; 4000-4999 are ours."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    BINARY = 1003
    INVALID_UTF8 = 1007
    COMMAND_TOO_LARGE = 1009
    INTERNAL = 1011
    NOT_IDENTIFIED = 4001
    TOKEN_EXPIRED = 4002
    DISCONNECTED = 4003
    TOO_MANY_CONNECTIONS = 4004
    TOO_SLOW = 4005
    PING_TIMEOUT = 4006
    FLOODING = 4007


class CloseRule(NamedTuple):
    """What a close code means to a client."""

    reason: str
    """The text sent with the code, at most 123 bytes."""
    come_back: bool
    """Whether connecting again, with backoff, can help."""


CLOSE_RULES: dict[Close, CloseRule] = {
    Close.NORMAL: CloseRule("closed", come_back=False),
    Close.GOING_AWAY: CloseRule("the server is stopping", come_back=True),
    Close.PROTOCOL_ERROR: CloseRule("WebSocket protocol error", come_back=False),
    Close.BINARY: CloseRule("text frames only", come_back=False),
    Close.INVALID_UTF8: CloseRule("not UTF-8", come_back=False),
    Close.COMMAND_TOO_LARGE: CloseRule("command too large", come_back=False),
    Close.INTERNAL: CloseRule("internal error", come_back=True),
    Close.NOT_IDENTIFIED: CloseRule("not identified in time", come_back=True),
    Close.TOKEN_EXPIRED: CloseRule("the token has expired", come_back=True),
    Close.DISCONNECTED: CloseRule("disconnected by the server", come_back=False),
    Close.TOO_MANY_CONNECTIONS: CloseRule("too many connections for this user", come_back=False),
    Close.TOO_SLOW: CloseRule("the connection reads too slowly", come_back=True),
    Close.PING_TIMEOUT: CloseRule("no answer to ping", come_back=True),
    Close.FLOODING: CloseRule("too many frames", come_back=True),
}
"""The one table of close codes. Clients treat a code that is not listed as ``come_back=True``."""
