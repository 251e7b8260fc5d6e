"""Exceptions, error codes and close codes: the one place where they are defined.

A client sees errors in two forms. A *reply* carries ``{"code", "message"}``, and the connection stays open. A *close
code* ends the connection and says whether the client should reconnect. No other module defines a code.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """What a reply's ``error.code`` may be."""

    INVALID_PARAMETER = "INVALID_PARAMETER"  # a field is missing, of the wrong type or outside its limits
    INVALID_REQUEST = "INVALID_REQUEST"  # well formed, but not possible in the current state
    UNAUTHORIZED = "UNAUTHORIZED"  # not identified: no token, or not a valid one
    FORBIDDEN = "FORBIDDEN"  # identified, but without the right
    TOO_LARGE = "TOO_LARGE"  # over a limit of size or nesting depth
    RATE_LIMITED = "RATE_LIMITED"  # too many commands a second
    UNAVAILABLE = "UNAVAILABLE"  # the backend does not answer, or the node is stopping; try again
    INTERNAL = "INTERNAL"  # a bug or fault of the server; its log has the details


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
    """The base class of all exceptions that Hubbub raises on purpose."""


class SettingsError(HubbubError):
    """A setting is missing, of the wrong type or out of range; the text names it and says what to set."""


class HubError(HubbubError):
    """A hub is used in a wrong way, at a wrong time or in a wrong event loop; the text says what to do."""


class CommandError(HubbubError):
    """A command was refused. Only its sender is told: the reply carries ``code`` and ``message``.

    Args:
        code: One of `ErrorCode`.
        message: For the developer of the client: names the field and the limit, and says what to do next.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class NotJsonError(CommandError, TypeError, ValueError):
    """A message is not JSON: the text says where and why. Also a `TypeError` and a `ValueError`, as of ``json.dumps``.

    Args:
        message: What cannot be represented, and where it is.
    """

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_PARAMETER, message)


class StoreError(CommandError):
    """The store could not do what was asked, so the client gets ``UNAVAILABLE``.

    Args:
        reason: Why, for operators: it may name the store's address, and is only for the log and for a failed start.
        message: The text for clients.
    """

    def __init__(self, reason: str, message: str = "The store does not answer. Try again.") -> None:
        super().__init__(ErrorCode.UNAVAILABLE, message)
        self.reason = reason


def invalid(message: str) -> CommandError:
    """Return the error for a field that is missing, of the wrong type or outside its limits."""
    return CommandError(ErrorCode.INVALID_PARAMETER, message)


class Close(IntEnum):
    """The close codes that the server sends. 1000-1011 are from RFC 6455, section 7.4.1; 4000-4999 are ours."""

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
    ORIGIN = 4008


class CloseRule(NamedTuple):
    """What a close code means for a client."""

    reason: str
    """The text sent with the code, at most 123 bytes. With 4008 it goes on: see `hubbub.refused_origins`."""
    reconnect: bool
    """Whether the client should reconnect, with backoff."""


CLOSE_RULES: dict[Close, CloseRule] = {
    Close.NORMAL: CloseRule("closed", reconnect=False),
    Close.GOING_AWAY: CloseRule("the server is stopping", reconnect=True),
    Close.PROTOCOL_ERROR: CloseRule("WebSocket protocol error", reconnect=False),
    Close.BINARY: CloseRule("text frames only", reconnect=False),
    Close.INVALID_UTF8: CloseRule("not UTF-8", reconnect=False),
    Close.COMMAND_TOO_LARGE: CloseRule("command too large", reconnect=False),
    Close.INTERNAL: CloseRule("internal error", reconnect=True),
    Close.NOT_IDENTIFIED: CloseRule("not identified in time", reconnect=True),
    Close.TOKEN_EXPIRED: CloseRule("the token has expired", reconnect=True),
    Close.DISCONNECTED: CloseRule("disconnected by the server", reconnect=False),
    Close.TOO_MANY_CONNECTIONS: CloseRule("too many connections for this user", reconnect=False),
    Close.TOO_SLOW: CloseRule("the connection reads too slowly", reconnect=True),
    Close.PING_TIMEOUT: CloseRule("no answer to ping", reconnect=True),
    Close.FLOODING: CloseRule("too many frames", reconnect=True),
    Close.ORIGIN: CloseRule("origin not allowed", reconnect=False),
}
"""All close codes. Clients treat a code that is not listed as ``reconnect=True``."""
